package import ShardModel

/// GET /api/v1/catalog: the routing snapshot, enough for a client to route by itself. Users and settings are not part of it.
package struct CatalogAnswer: Codable, Hashable, Sendable {
    package struct Database: Codable, Hashable, Sendable {
        package var database: DatabaseResource
        package var shards: [ShardResource]
        package var tables: [TableResource]
        /// Whoever sends statements straight to shards writes nothing for these tokens until they are gone; nil: of a manager from before there were any.
        package var holds: [Hold]?
        package enum CodingKeys: String, CodingKey, CaseIterable { case database, shards, tables, holds }
    }

    /// Tokens whose owner is about to change.
    package struct Hold: Codable, Hashable, Sendable {
        package var job: String
        package var ranges: [TokenRange]
        package var owners: [String]
        package enum CodingKeys: String, CodingKey, CaseIterable { case job, ranges, owners }

        init(_ hold: HoldRecord) { (job, ranges, owners) = (hold.job, hold.ranges, hold.owners.map(\.name)) }
    }
    package var epoch: UInt64
    package var clusterID: String
    package var databases: [Database]

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case epoch, databases
        case clusterID = "cluster_id"
    }

    /// `database` nil: all.
    package init(_ catalog: CatalogSnapshot, database: String?, redact: (String) -> String) {
        epoch = catalog.epoch.number
        clusterID = catalog.clusterID
        databases = catalog.databases.values.filter { database == nil || $0.name == database }
            .sorted { $0.name < $1.name }
            .map { record in
                Database(
                    database: DatabaseResource(record, in: catalog),
                    shards: catalog.shards.values.filter { $0.database == record.name }.sorted { $0.id < $1.id }
                        .map { ShardResource($0, isHome: $0.id == record.homeShard, redact: redact) },
                    tables: catalog.tables.values.filter { $0.database == record.name }.sorted { $0.name < $1.name }
                        .map { TableResource($0, homeShard: record.homeShard) },
                    holds: catalog.holds.values.filter { $0.database == record.name }.sorted { $0.job < $1.job }.map(Hold.init))
            }
    }
}

/// GET /api/v1/routers
package struct RouterResource: Codable, Hashable, Sendable {
    package var id: String
    package var url: String
    package var wireAddress: String
    package var epoch: UInt64
    /// How many epochs it is behind the catalog.
    package var epochLag: UInt64
    package var version: String
    package var startedAt: Timestamp

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case id, url, epoch, version
        case wireAddress = "wire_address"
        case epochLag = "epoch_lag"
        case startedAt = "started_at"
    }

    package init(
        id: String, url: String, wireAddress: String, epoch: UInt64, catalogEpoch: UInt64, version: String,
        startedAt: Timestamp
    ) {
        self.id = id
        self.url = url
        self.wireAddress = wireAddress
        self.epoch = epoch
        epochLag = catalogEpoch > epoch ? catalogEpoch - epoch : 0
        self.version = version
        self.startedAt = startedAt
    }
}
