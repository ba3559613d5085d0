// What the catalog stores. Every record carries a `version` that grows by one with each change to it:
// a writer names the version it read, and a stale one gets a conflict.

/// A logical database: what clients name when they connect.
package struct DatabaseRecord: Hashable, Sendable, Codable {
    package var name: String
    /// How many vnodes each shard gets when the ring is first cut.
    package var vnodeCount: Int
    package var defaultConsistency: Consistency
    /// What happens to a table that neither a declaration nor a rule places.
    package var defaultPlacement: DefaultPlacement
    /// "A table with a column of this name is sharded by it"; the first that matches wins.
    package var keyColumnRules: [String]
    /// The shard of local tables, of pg_catalog and of statements without tables: always the same one.
    /// nil until the first shard is registered.
    package var homeShard: ShardID?
    /// The sequence slice of the next shard that is registered: slices are never given out again. nil: none has been given out.
    package var nextSlice: Int?
    package var version: UInt64

    package init(
        name: String, vnodeCount: Int = 256, defaultConsistency: Consistency = .strong,
        defaultPlacement: DefaultPlacement = .refuse, keyColumnRules: [String] = [], homeShard: ShardID? = nil,
        nextSlice: Int? = nil, version: UInt64 = 0
    ) {
        self.name = name
        self.vnodeCount = vnodeCount
        self.defaultConsistency = defaultConsistency
        self.defaultPlacement = defaultPlacement
        self.keyColumnRules = keyColumnRules
        self.homeShard = homeShard
        self.nextSlice = nextSlice
        self.version = version
    }
}

package enum Consistency: String, Hashable, Sendable, Codable { case strong, eventual }
package enum DefaultPlacement: String, Hashable, Sendable, Codable { case refuse, local }

package enum ShardStatus: String, Hashable, Sendable, Codable { case active, migrating, readonly, inactive }

/// One PostgreSQL primary and its replicas, and the vnodes it owns.
package struct ShardRecord: Hashable, Sendable, Codable {
    package var id: ShardID
    package var name: String
    package var database: String
    /// `postgres://user@host:port/dbname?…`, never with a password in the clear (see `Security/SecretReference`).
    package var primaryEndpoint: String
    package var replicas: [String]
    package var status: ShardStatus
    /// Sorted by start. The union over a database's shards is the whole ring, without gap or overlap.
    package var vnodes: [VNode]
    /// Its part of the values of each sequence (`SequenceSlice`). nil: of a catalog written before there were slices.
    package var slice: Int?
    /// Seconds since 1970, UTC.
    package var createdAt: Double
    package var updatedAt: Double
    package var version: UInt64

    package init(
        id: ShardID, name: String, database: String, primaryEndpoint: String, replicas: [String] = [],
        status: ShardStatus = .active, vnodes: [VNode] = [], slice: Int? = nil, createdAt: Double = 0, updatedAt: Double = 0,
        version: UInt64 = 0
    ) {
        self.id = id
        self.name = name
        self.database = database
        self.primaryEndpoint = primaryEndpoint
        self.replicas = replicas
        self.status = status
        self.vnodes = vnodes
        self.slice = slice
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.version = version
    }

    /// Registered for a job that will move rows to it; no part of the database yet, so that no statement reaches it.
    package var isJoining: Bool { status == .migrating && vnodes.isEmpty }
}

/// A contiguous range of tokens with one owner: the unit of ownership and of movement.
package struct VNode: Hashable, Sendable, Codable {
    /// Unique in its database, never used again after the vnode is gone.
    package var id: UInt32
    package var range: TokenRange
    package init(id: UInt32, range: TokenRange) {
        self.id = id
        self.range = range
    }
}

/// Tokens from `start` to `end`, both included, so that the whole ring 0 ... 2^64-1 can be named.
package struct TokenRange: Hashable, Sendable, Codable {
    package var start: UInt64
    package var end: UInt64
    /// Precondition: `start <= end`; decode untrusted ranges with `init(from:)`, which throws.
    package init(_ range: ClosedRange<UInt64>) {
        start = range.lowerBound
        end = range.upperBound
    }
    package static let whole = TokenRange(0...UInt64.max)
    package func contains(_ token: Token) -> Bool { start <= token.value && token.value <= end }

    private enum CodingKeys: String, CodingKey { case start, end }
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        // Decimal strings: a JSON number cannot hold them exactly.
        guard let start = UInt64(try container.decode(String.self, forKey: .start)),
            let end = UInt64(try container.decode(String.self, forKey: .end)), start <= end
        else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a token range"))
        }
        self.start = start
        self.end = end
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(String(start), forKey: .start)
        try container.encode(String(end), forKey: .end)
    }
}

/// The name of a table: both parts as PostgreSQL stores them (folded or quoted already resolved).
package struct QualifiedName: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package var schema: String
    package var name: String
    package init(schema: String, name: String) {
        self.schema = schema
        self.name = name
    }
    package static func < (a: QualifiedName, b: QualifiedName) -> Bool {
        (a.schema, a.name) < (b.schema, b.name)
    }
    package var description: String { "\(schema).\(name)" }
}

/// Where a table's rows live.
package enum Placement: Hashable, Sendable, Codable {
    /// Split over all shards by the named column.
    case sharded(key: String)
    /// The same full copy on every shard.
    case reference
    /// On the database's home shard only.
    case local
}

/// The declared placement of one table; it may be declared before the table exists.
package struct TableRecord: Hashable, Sendable, Codable {
    package var database: String
    package var name: QualifiedName
    package var placement: Placement
    package var version: UInt64
    package init(database: String, name: QualifiedName, placement: Placement, version: UInt64 = 0) {
        self.database = database
        self.name = name
        self.placement = placement
        self.version = version
    }
}

/// Somebody who may log in, on the wire and over REST.
package struct UserRecord: Hashable, Sendable, Codable {
    package var name: String
    /// A SCRAM-SHA-256 verifier in PostgreSQL's text form (`SCRAM-SHA-256$4096:salt$stored:server`). Never a password.
    package var verifier: String
    /// "admin", "operator", "viewer"
    package var roles: [String]
    /// Of a record without grants: the databases this user may use; nil means all.
    package var databases: [String]?
    /// What the user may do with the rows of which database; nil: a record from before there were grants, see `access(to:)`.
    package var grants: [DatabaseGrant]?
    /// Tokens that were given until this moment are void (seconds since 1970); nil: none is.
    package var tokensAfter: Double?
    package var version: UInt64
    package init(
        name: String, verifier: String, roles: [String], databases: [String]? = nil, grants: [DatabaseGrant]? = nil, version: UInt64 = 0
    ) {
        self.name = name
        self.verifier = verifier
        self.roles = roles
        self.databases = databases
        self.grants = grants
        self.version = version
    }
}
