package import ChangeCore
package import PGChannel
internal import PGTypes
package import ShardModel

extension MovedTable {
    /// The relations that hold `table`'s rows, as the stream of changes will name them: the leaves of its partitions, or the table itself.
    ///
    /// - key: the name of the shard key column.
    ///
    /// Throws `TransferError.shape`, `.nameForm`, `PGClientError`.
    package static func read(_ table: QualifiedName, key: String, from client: PGClient) async throws -> [MovedTable] {
        var tables = try await relations(of: table, from: client)
        for index in tables.indices {
            tables[index].keyColumn = key
            guard let type = tables[index].columns.first(where: { $0.name == key })?.typeOID else {
                throw TransferError.shape("\(tables[index].name) has no column \(key)")
            }
            guard let keyType = KeyType(typeOID: type) else { throw TransferError.shape("the type of \(tables[index].name)'s column \(key) is no shard key's") }
            tables[index].keyType = keyType
        }
        return tables
    }

    /// Of a reference table, all of whose rows go to `targets`. As above.
    package static func read(reference table: QualifiedName, to targets: [ShardID], from client: PGClient) async throws -> [MovedTable] {
        var tables = try await relations(of: table, from: client)
        for index in tables.indices { tables[index].copiedTo = targets }
        return tables
    }

    /// The key is not filled in.
    private static func relations(of table: QualifiedName, from client: PGClient) async throws -> [MovedTable] {
        let rows = try await client.query(query, [.text(table.schema), .text(table.name)]).rows
        guard !rows.isEmpty else { throw TransferError.shape("there is no table \(table)") }
        var tables: [MovedTable] = []
        for row in rows {
            guard let schema = row.text(0), let name = row.text(1), let column = row.text(2), let type = row.integer(3).flatMap({ UInt32(exactly: $0) })
            else { continue }
            let relation = QualifiedName(schema: schema, name: name)
            for part in [schema, name, column] where !part.isNormalized { throw TransferError.nameForm(part, relation: relation) }
            if tables.last?.name != relation {
                tables.append(MovedTable(name: relation, columns: [], keyColumn: "", keyType: .integer, primaryKey: []))
            }
            let last = tables.count - 1
            tables[last].columns.append(.init(name: column, typeOID: type, isGenerated: row.bool(4) ?? false))
            if let place = row.integer(5) { tables[last].primaryKey.append("\(place) \(column)") }
        }
        for index in tables.indices {
            // In the order of the key, which is not that of the columns.
            tables[index].primaryKey = tables[index].primaryKey.map { $0.split(separator: " ", maxSplits: 1) }.sorted { Int($0[0]) ?? 0 < Int($1[0]) ?? 0 }
                .map { String($0[1]) }
        }
        return tables
    }

    /// $1 schema, $2 name. Relation, column, type, whether it is generated, place in the primary key.
    private static let query = """
        SELECT n.nspname, c.relname, a.attname, a.atttypid::text, a.attgenerated <> '',
            (SELECT pg_catalog.array_position(i.indkey::int2[], a.attnum) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
        FROM pg_catalog.pg_class root
            JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
            CROSS JOIN LATERAL (
                SELECT root.oid AS oid WHERE root.relkind <> 'p'
                UNION ALL SELECT t.relid FROM pg_catalog.pg_partition_tree(root.oid) t WHERE root.relkind = 'p' AND t.isleaf AND t.relid <> root.oid) leaf
            JOIN pg_catalog.pg_class c ON c.oid = leaf.oid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE rn.nspname = $1 AND root.relname = $2 AND root.relkind IN ('r', 'p')
        ORDER BY 1, 2, a.attnum
        """
}
