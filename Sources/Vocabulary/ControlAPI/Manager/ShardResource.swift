package import ShardModel

/// A vnode as the API shows it: everything a client needs to route by itself.
package struct VNodeResource: Codable, Hashable, Sendable {
    package var id: UInt32
    package var shardID: String
    /// The name of the function that makes tokens: always "murmur3-x64-128-h1".
    package var hash: String
    /// Decimal strings: a JSON number cannot hold 64 bits exactly. Both ends belong to the vnode.
    package var start: String
    package var end: String

    package static let hashName = "murmur3-x64-128-h1"

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case id, hash, start, end
        case shardID = "shard_id"
    }

    package init(_ vnode: VNode, of shard: ShardID) {
        id = vnode.id
        shardID = shard.name
        hash = Self.hashName
        start = String(vnode.range.start)
        end = String(vnode.range.end)
    }
}

/// A shard as the API shows it. Endpoints never hold a password: what was given or sealed is shown as `password=***`.
package struct ShardResource: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    package var database: String
    /// The hull of what the shard owns; nil while it owns nothing. `vnodes` is the truth.
    package var hashRangeStart: String?
    package var hashRangeEnd: String?
    package var primaryEndpoint: String
    package var replicas: [String]
    package var status: ShardStatus
    package var isHome: Bool
    package var version: UInt64
    package var vnodes: [VNodeResource]
    package var createdAt: Timestamp
    package var updatedAt: Timestamp

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case id, name, database, replicas, status, version, vnodes
        case hashRangeStart = "hash_range_start"
        case hashRangeEnd = "hash_range_end"
        case primaryEndpoint = "primary_endpoint"
        case isHome = "is_home"
        case createdAt = "created_at"
        case updatedAt = "updated_at"
    }

    /// `redact` takes an endpoint to the form that may be shown.
    package init(_ record: ShardRecord, isHome: Bool, redact: (String) -> String) {
        id = record.id.name
        name = record.name
        database = record.database
        hashRangeStart = record.vnodes.map(\.range.start).min().map(String.init)
        hashRangeEnd = record.vnodes.map(\.range.end).max().map(String.init)
        primaryEndpoint = redact(record.primaryEndpoint)
        replicas = record.replicas.map(redact)
        status = record.status
        self.isHome = isHome
        version = record.version
        vnodes = record.vnodes.map { VNodeResource($0, of: record.id) }
        createdAt = Timestamp(seconds: record.createdAt)
        updatedAt = Timestamp(seconds: record.updatedAt)
    }
}

/// POST /api/v1/shards
package struct RegisterShardRequest: APIRequest, Encodable, Hashable {
    /// nil: the name.
    package var id: String?
    /// nil: the id. One of the two must be given.
    package var name: String?
    package var database: String
    package var primaryEndpoint: String
    package var replicas: [String]?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case id, name, database, replicas
        case primaryEndpoint = "primary_endpoint"
    }

    package init(id: String?, name: String? = nil, database: String, primaryEndpoint: String, replicas: [String]? = nil) {
        self.id = id
        self.name = name
        self.database = database
        self.primaryEndpoint = primaryEndpoint
        self.replicas = replicas
    }
}

/// PUT /api/v1/shards/{id}/status
package struct ShardStatusRequest: APIRequest, Encodable, Hashable {
    package var status: ShardStatus
    package var version: UInt64

    package enum CodingKeys: String, CodingKey, CaseIterable { case status, version }

    package init(status: ShardStatus, version: UInt64) {
        self.status = status
        self.version = version
    }
}

/// PUT /api/v1/shards/{id}/replicas
package struct ShardReplicasRequest: APIRequest, Encodable, Hashable {
    /// All of them, in order. One that is written as the API shows it is kept.
    package var replicas: [String]
    package var version: UInt64

    package enum CodingKeys: String, CodingKey, CaseIterable { case replicas, version }

    package init(replicas: [String], version: UInt64) {
        self.replicas = replicas
        self.version = version
    }
}

/// GET /api/v1/shards/{id}/health: what a probe just saw, not what the catalog says.
package struct ShardHealthAnswer: Codable, Hashable, Sendable {
    package var shardID: String
    package var healthy: Bool
    package var latencyMilliseconds: Double?
    package var serverVersion: String?
    package var inRecovery: Bool?
    /// One sentence when unhealthy; without secrets.
    package var problem: String?
    /// The primary first.
    package var servers: [ServerHealthResource]

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case healthy, problem, servers
        case shardID = "shard_id"
        case latencyMilliseconds = "latency_ms"
        case serverVersion = "server_version"
        case inRecovery = "in_recovery"
    }

    package init(
        shardID: String, healthy: Bool, latencyMilliseconds: Double? = nil, serverVersion: String? = nil,
        inRecovery: Bool? = nil, problem: String? = nil, servers: [ServerHealthResource]
    ) {
        self.servers = servers
        self.shardID = shardID
        self.healthy = healthy
        self.latencyMilliseconds = latencyMilliseconds
        self.serverVersion = serverVersion
        self.inRecovery = inRecovery
        self.problem = problem
    }
}

/// GET /api/v1/shards/{id}/stats: figures read from the shard itself when asked.
package struct ShardStatsAnswer: Codable, Hashable, Sendable {
    package struct Table: Codable, Hashable, Sendable {
        package var name: String
        /// PostgreSQL's estimate (`n_live_tup`), not a count.
        package var rowEstimate: Int64
        package var bytes: Int64
        package enum CodingKeys: String, CodingKey, CaseIterable {
            case name, bytes
            case rowEstimate = "row_estimate"
        }
        package init(name: String, rowEstimate: Int64, bytes: Int64) {
            self.name = name
            self.rowEstimate = rowEstimate
            self.bytes = bytes
        }
    }
    package var shardID: String
    package var databaseBytes: Int64
    package var connections: Int64
    package var connectionsMax: Int64
    package var preparedTransactions: Int64
    package var vnodeCount: Int
    package var tables: [Table]

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case connections, tables
        case shardID = "shard_id"
        case databaseBytes = "database_bytes"
        case connectionsMax = "connections_max"
        case preparedTransactions = "prepared_transactions"
        case vnodeCount = "vnode_count"
    }

    package init(
        shardID: String, databaseBytes: Int64, connections: Int64, connectionsMax: Int64, preparedTransactions: Int64,
        vnodeCount: Int, tables: [Table]
    ) {
        self.shardID = shardID
        self.databaseBytes = databaseBytes
        self.connections = connections
        self.connectionsMax = connectionsMax
        self.preparedTransactions = preparedTransactions
        self.vnodeCount = vnodeCount
        self.tables = tables
    }
}
