package import ShardModel

/// A database as the API shows it.
package struct DatabaseResource: Codable, Hashable, Sendable {
    package var name: String
    package var vnodeCount: Int
    package var defaultConsistency: Consistency
    package var defaultPlacement: DefaultPlacement
    package var keyColumnRules: [String]
    package var homeShard: String?
    package var shardCount: Int
    package var tableCount: Int
    package var version: UInt64

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name, version
        case vnodeCount = "vnode_count"
        case defaultConsistency = "default_consistency"
        case defaultPlacement = "default_placement"
        case keyColumnRules = "key_column_rules"
        case homeShard = "home_shard"
        case shardCount = "shard_count"
        case tableCount = "table_count"
    }

    package init(_ record: DatabaseRecord, in catalog: CatalogSnapshot) {
        name = record.name
        vnodeCount = record.vnodeCount
        defaultConsistency = record.defaultConsistency
        defaultPlacement = record.defaultPlacement
        keyColumnRules = record.keyColumnRules
        homeShard = record.homeShard?.name
        shardCount = catalog.shards.values.count { $0.database == record.name }
        tableCount = catalog.tables.keys.count { $0.database == record.name }
        version = record.version
    }
}

/// POST /api/v1/databases
package struct CreateDatabaseRequest: APIRequest, Encodable, Hashable {
    package var name: String
    package var vnodeCount: Int?
    package var defaultConsistency: Consistency?
    package var defaultPlacement: DefaultPlacement?
    package var keyColumnRules: [String]?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name
        case vnodeCount = "vnode_count"
        case defaultConsistency = "default_consistency"
        case defaultPlacement = "default_placement"
        case keyColumnRules = "key_column_rules"
    }

    package init(
        name: String, vnodeCount: Int? = nil, defaultConsistency: Consistency? = nil,
        defaultPlacement: DefaultPlacement? = nil, keyColumnRules: [String]? = nil
    ) {
        self.name = name
        self.vnodeCount = vnodeCount
        self.defaultConsistency = defaultConsistency
        self.defaultPlacement = defaultPlacement
        self.keyColumnRules = keyColumnRules
    }
}
