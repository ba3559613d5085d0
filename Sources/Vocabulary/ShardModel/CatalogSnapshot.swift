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
        users: [String: UserRecord] = [:], settings: [String: String] = [:]
    ) {
        self.epoch = epoch
        self.clusterID = clusterID
        self.databases = databases
        self.shards = shards
        self.tables = tables
        self.users = users
        self.settings = settings
    }
}
