package import ShardModel

/// The kinds of placement, as the API names them.
package enum TableKind: String, Codable, Hashable, Sendable, CaseIterable { case sharded, reference, local }

/// A table's declared placement as the API shows it.
package struct TableResource: Codable, Hashable, Sendable {
    /// "schema.table"
    package var name: String
    package var kind: TableKind
    package var shardKey: String?
    /// Where a local table lives.
    package var homeShard: String?
    package var version: UInt64

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name, kind, version
        case shardKey = "shard_key"
        case homeShard = "home_shard"
    }

    package init(_ record: TableRecord, homeShard: ShardID?) {
        name = record.name.description
        version = record.version
        switch record.placement {
        case .sharded(let key): (kind, shardKey) = (.sharded, key)
        case .reference: kind = .reference
        case .local: (kind, self.homeShard) = (.local, homeShard?.name)
        }
    }
}

/// POST /api/v1/databases/{name}/tables
package struct DeclareTableRequest: APIRequest, Encodable, Hashable {
    package var name: String
    package var kind: TableKind
    package var shardKey: String?
    /// Of a local table; only the database's home shard is possible, so it may be left out.
    package var homeShard: String?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name, kind
        case shardKey = "shard_key"
        case homeShard = "home_shard"
    }

    package init(name: String, kind: TableKind, shardKey: String? = nil, homeShard: String? = nil) {
        self.name = name
        self.kind = kind
        self.shardKey = shardKey
        self.homeShard = homeShard
    }
}
