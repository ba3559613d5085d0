/// The whole catalog at one epoch: immutable, loaded and replaced as a whole.
package struct CatalogSnapshot: Hashable, Sendable, Codable {
    package var epoch: Epoch
    /// Identifies the cluster: drawn once when the catalog is made, so that a router notices another cluster's catalog.
    package var clusterID: String
    package var databases: [String: DatabaseRecord]
    package var shards: [ShardID: ShardRecord]
    package var tables: [TableKey: TableRecord]
    package var users: [String: UserRecord]
    /// Cluster-wide settings by name.
    package var settings: [String: String]
    /// By id; those that are over are kept for a while.
    package var jobs: [String: ReshardJobRecord]
    /// By the id of their job.
    package var holds: [String: HoldRecord]

    package struct TableKey: Hashable, Sendable, Codable {
        package var database: String
        package var table: QualifiedName
        package init(database: String, table: QualifiedName) {
            self.database = database
            self.table = table
        }
    }

    package init(
        epoch: Epoch = .zero, clusterID: String, databases: [String: DatabaseRecord] = [:],
        shards: [ShardID: ShardRecord] = [:], tables: [TableKey: TableRecord] = [:],
        users: [String: UserRecord] = [:], settings: [String: String] = [:], jobs: [String: ReshardJobRecord] = [:],
        holds: [String: HoldRecord] = [:]
    ) {
        self.epoch = epoch
        self.clusterID = clusterID
        self.databases = databases
        self.shards = shards
        self.tables = tables
        self.users = users
        self.settings = settings
        self.jobs = jobs
        self.holds = holds
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        epoch = try container.decode(Epoch.self, forKey: .epoch)
        clusterID = try container.decode(String.self, forKey: .clusterID)
        databases = try container.decode([String: DatabaseRecord].self, forKey: .databases)
        shards = try container.decode([ShardID: ShardRecord].self, forKey: .shards)
        tables = try container.decode([TableKey: TableRecord].self, forKey: .tables)
        users = try container.decode([String: UserRecord].self, forKey: .users)
        settings = try container.decode([String: String].self, forKey: .settings)
        // Copies written before there were jobs have none.
        jobs = try container.decodeIfPresent([String: ReshardJobRecord].self, forKey: .jobs) ?? [:]
        holds = try container.decodeIfPresent([String: HoldRecord].self, forKey: .holds) ?? [:]
    }
}
