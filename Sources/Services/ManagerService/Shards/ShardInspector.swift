package import ControlAPI
package import ShardModel

/// What a PostgreSQL server says about itself when it is to become a shard, or is one.
package struct ShardInspection: Hashable, Sendable {
    /// `server_version_num`: 150018.
    package var versionNumber: Int
    package var versionText: String
    package var inRecovery: Bool
    package var walLevel: String
    package var preparedTransactionsMax: Int
    package var encoding: String
    /// `datcollate` and `datctype`, and provider and locale where they are not the C library's: how texts are ordered and compared where a statement says nothing else.
    package var collation: String
    /// The role of the endpoint.
    package var role: String
    /// Whether that role may make our schema.
    package var mayCreateSchema: Bool
    package var isSuperuser: Bool
    /// `system_identifier`: a primary and its replicas have the same one, and nobody else has.
    package var systemIdentifier: String
    /// Who the database already belongs to; nil when it was never a shard.
    package var identity: ShardIdentity?
    /// Of the registration that wrote the identity; nil: there is none, or it is from before there were claims.
    package var claim: String?
    /// Transactions that routers prepared here, and that are neither committed nor rolled back yet.
    package var inDoubt: Int
    /// Tables outside the system's and our own schemas.
    package var tables: [QualifiedName]
    /// Names of some objects outside the system's and our own schemas that are no extension's; empty: there are none.
    package var objects: [String]
    /// Equal for two databases exactly when their user schemas are.
    package var schemaFingerprint: String
    package var latency: Duration

    package init(
        versionNumber: Int = 150_000, versionText: String = "15", inRecovery: Bool = false, walLevel: String = "logical",
        preparedTransactionsMax: Int = 100, encoding: String = "UTF8", collation: String = "C.UTF-8 C.UTF-8", role: String = "postgres",
        mayCreateSchema: Bool = true, isSuperuser: Bool = true, identity: ShardIdentity? = nil, claim: String? = nil, inDoubt: Int = 0, tables: [QualifiedName] = [],
        objects: [String] = [], schemaFingerprint: String = "", latency: Duration = .zero, systemIdentifier: String = "1"
    ) {
        self.versionNumber = versionNumber
        self.versionText = versionText
        self.inRecovery = inRecovery
        self.walLevel = walLevel
        self.preparedTransactionsMax = preparedTransactionsMax
        self.encoding = encoding
        self.collation = collation
        self.role = role
        self.mayCreateSchema = mayCreateSchema
        self.isSuperuser = isSuperuser
        self.identity = identity
        self.claim = claim
        self.inDoubt = inDoubt
        self.tables = tables
        self.objects = objects
        self.schemaFingerprint = schemaFingerprint
        self.latency = latency
        self.systemIdentifier = systemIdentifier
    }
}

/// Which shard of which cluster a PostgreSQL database is: written into it at registration, so that no other cluster or shard takes it too.
package struct ShardIdentity: Hashable, Sendable {
    package var clusterID: String
    package var database: String
    package var shard: ShardID

    package init(clusterID: String, database: String, shard: ShardID) {
        self.clusterID = clusterID
        self.database = database
        self.shard = shard
    }
}

/// One table on one shard, as far as its placement depends on it.
package struct TableInspection: Hashable, Sendable {
    package var hasRows: Bool
    /// Why the table cannot have the placement asked for; one sentence each, names only.
    package var problems: [String]

    package init(hasRows: Bool, problems: [String] = []) {
        self.hasRows = hasRows
        self.problems = problems
    }
}

/// Looks at PostgreSQL servers and marks them; the only way the manager touches a shard. `endpoint` is as the catalog keeps it: the implementation opens
/// sealed passwords.
///
/// All calls are bounded in time and throw `ShardAccessError`.
package protocol ShardInspector: Sendable {
    func inspect(_ endpoint: String) async throws(ShardAccessError) -> ShardInspection
    /// Makes our schema on the server and writes `identity` and `claim`, where the claim there is is still `known`, as `inspect` found it. Otherwise it throws
    /// `.taken` for another identity, `.superseded` for another claim.
    ///
    /// Claims tell registrations of one identity apart. A leader that was stopped resumes in another time, in which its successor may have registered or
    /// removed the same shard: what it does then must find everything as it was, or do nothing (decision 0040).
    func claim(_ endpoint: String, as identity: ShardIdentity, by claim: String, over known: String?) async throws(ShardAccessError)
    /// Takes our schema off the server, if it is marked with `identity` under `claim`; else throws `.superseded`. nil: marked before there were claims.
    func release(_ endpoint: String, from identity: ShardIdentity, claimed claim: String?) async throws(ShardAccessError)
    /// nil: no such table there.
    func table(
        _ name: QualifiedName, for placement: Placement, at endpoint: String, declared: [QualifiedName: Placement]
    ) async throws(ShardAccessError) -> TableInspection?
    /// Looks at a server that is to be part of a shard, in no more time than `limit`.
    func probe(_ endpoint: String, as identity: ShardIdentity, within limit: Duration) async -> ProbeOutcome
    func figures(_ endpoint: String) async throws(ShardAccessError) -> ShardFigures
    /// Of all tables together, in about no more time than `limit`; then, or where one cannot be read, it throws.
    ///
    /// - tables: sharded ones, with their shard keys; those that are not there are left out.
    func samples(_ endpoint: String, of tables: [QualifiedName: String], within limit: Duration) async throws(ShardAccessError) -> RowSamples
}

/// What `GET shards/{id}/stats` reads.
package struct ShardFigures: Hashable, Sendable {
    package struct Table: Hashable, Sendable {
        package var name: QualifiedName
        package var rowEstimate: Int64
        package var bytes: Int64
        package init(name: QualifiedName, rowEstimate: Int64, bytes: Int64) {
            self.name = name
            self.rowEstimate = rowEstimate
            self.bytes = bytes
        }
    }
    package var databaseBytes: Int64
    package var connections: Int64
    package var connectionsMax: Int64
    package var preparedTransactions: Int64
    package var tables: [Table]

    package init(
        databaseBytes: Int64 = 0, connections: Int64 = 0, connectionsMax: Int64 = 0, preparedTransactions: Int64 = 0, tables: [Table] = []
    ) {
        self.databaseBytes = databaseBytes
        self.connections = connections
        self.connectionsMax = connectionsMax
        self.preparedTransactions = preparedTransactions
        self.tables = tables
    }
}

package enum ShardAccessError: Error, Hashable, Sendable {
    /// The endpoint's text or its password cannot be used.
    case endpoint(String)
    /// No connection, or it broke: trying again may help. The reason holds no secret.
    case unreachable(String)
    /// The server answered, and does not let us: wrong password, no such database, a missing permission.
    case refused(String, sqlstate: String)
    /// Another shard or cluster has the database.
    case taken(ShardIdentity)
    /// The mark is of another registration than the one that was seen.
    case superseded

    package var apiError: APIError {
        switch self {
        case .endpoint(let reason): APIError(.invalidEndpoint, reason)
        case .unreachable(let reason): APIError(.shardUnavailable, "the shard's server cannot be reached: \(reason)")
        case .refused(let reason, let sqlstate): APIError(.shardUnsuitable, "the shard's server refused: \(reason)", sqlstate: sqlstate)
        case .superseded: APIError(.shardInUse, "the PostgreSQL database was registered or removed by another request meanwhile; look, and try again")
        case .taken(let owner):
            APIError(.shardInUse, "this PostgreSQL database is shard \(owner.shard) of database \(owner.database) of cluster \(owner.clusterID)")
        }
    }
}
