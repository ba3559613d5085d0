internal import ShardModel

/// Records for the checks.
enum SampleCatalog {
    /// `count` vnodes that are the whole ring, with ids from `firstID`.
    static func ring(_ count: Int, firstID: UInt32 = 1) -> [VNode] {
        let width = UInt64.max / UInt64(count)
        return (0..<count).map { index in
            let start = UInt64(index) * width
            return VNode(id: firstID + UInt32(index), range: TokenRange(start...(index == count - 1 ? .max : start + width - 1)))
        }
    }

    static func shard(_ name: String, _ vnodes: [VNode], database: String = "app") -> ShardRecord {
        ShardRecord(
            id: ShardID(name), name: name, database: database, primaryEndpoint: "postgres://app@127.0.0.1:5432/\(name)",
            replicas: ["postgres://app@127.0.0.1:5433/\(name)"], vnodes: vnodes, createdAt: 1_700_000_000.125, updatedAt: 1_700_000_001.5)
    }

    /// A database with three shards of four vnodes each, dealt in turn; tables of each placement; a user; a setting.
    static let filling: [CatalogChange.Operation] = {
        let whole = ring(12)
        let shards = (0..<3).map { number in
            CatalogChange.Operation.putShard(shard("shard-\(number)", stride(from: number, to: 12, by: 3).map { whole[$0] }))
        }
        return [.putDatabase(DatabaseRecord(name: "app", keyColumnRules: ["tenant_id"], homeShard: ShardID("shard-0")))] + shards + [
            .putTable(TableRecord(database: "app", name: name("orders"), placement: .sharded(key: "Käufer \"id\""))),
            .putTable(TableRecord(database: "app", name: name("countries"), placement: .reference)),
            .putTable(TableRecord(database: "app", name: name("notes"), placement: .local)),
            .putUser(UserRecord(name: "ada", verifier: "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy", roles: ["admin"], databases: ["app"])),
            .setSetting(name: "greeting", value: "a 'quoted'\nvalue"),
        ]
    }()

    static func name(_ name: String) -> QualifiedName { QualifiedName(schema: "public", name: name) }

    static func numbering(_ number: Int) -> CatalogChange { CatalogChange([.setSetting(name: "n", value: String(number))], author: "writer \(number)") }
}
