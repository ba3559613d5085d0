internal import Foundation
internal import PGChannel

/// Where the client learns who owns what, how it logs in, and its bounds.
public struct MosaicConfiguration: Sendable {
    /// Where the catalog comes from.
    public enum Catalog: Sendable {
        /// The managers' REST API (`https://host:8081`), asked by long polling; the next one is asked where one does not answer.
        ///
        /// - token: asked before each request, so that it can be renewed. It needs the role `viewer`. nil: the managers ask for none.
        /// - authority: a PEM file with the authority of the managers' certificates; nil: the system's.
        case managers([String], token: (@Sendable () async throws -> String)? = nil, authority: String? = nil)
        /// The catalog store itself: `sqlite:PATH`, `postgres://…` or `etcd://…`, as in the setting `catalog` of routers.
        case store(String)
    }

    /// Who the client is for the shards.
    ///
    /// The role needs what the application needs on its tables, and `USAGE` on the schema and `EXECUTE` on the function `pgmosaic.hello` where it is not the
    /// role of the shard's endpoint.
    public struct Login: Sendable {
        /// nil: the user of the shard's endpoint.
        public var user: String?
        public var password: String?

        public init(user: String? = nil, password: String? = nil) { (self.user, self.password) = (user, password) }
    }

    public var catalog: Catalog
    public var login: Login
    /// Routers for everything that is not of one key: `postgres://user:password@host:6432?sslmode=verify-full`, without a database. A connection goes to the
    /// next one where one does not answer.
    public var routers: [String] = []
    /// How shards and their logs call this client: 1 to 32 letters, digits, `-`, `_` and `.`; nil: drawn at random. Unique among the running clients.
    public var id: String?
    /// A copy of the catalog to start from while nobody answers; holds no users and no passwords that are not sealed. Mode 0600.
    public var snapshotFile: String?

    /// Connections to one server.
    public var connectionsMax = 8
    /// Calls that may wait for a connection to one server.
    public var waitingMax = 1000
    /// How long a call waits for a connection, and for a newer catalog where a shard asks for it.
    public var acquireTimeout = Duration.seconds(10)
    public var connectTimeout = Duration.seconds(5)
    /// How long one statement may take; the server is asked to cancel it then.
    public var statementTimeout = Duration.seconds(60)
    /// An idle connection is closed after this.
    public var idleTimeout = Duration.seconds(60)
    /// A connection is not used for longer than this.
    public var lifetimeMax = Duration.seconds(3600)
    /// A replica that is further behind is not read from.
    public var lagMax = Duration.seconds(10)
    /// Between two looks at a replica, while eventual reads are asked for.
    public var probeInterval = Duration.milliseconds(500)
    /// Bytes of rows that one answer may hold.
    public var resultBytesMax = 64 << 20
    /// Shards that one `scatter` asks at a time.
    public var scatterWidth = 32

    public init(catalog: Catalog, login: Login = Login()) { (self.catalog, self.login) = (catalog, login) }

    func check() throws(MosaicError) {
        func require(_ holds: Bool, _ what: String) throws(MosaicError) {
            guard holds else { throw MosaicError(.configuration, what) }
        }
        try require(connectionsMax >= 1 && connectionsMax <= 10_000, "connectionsMax must be from 1 to 10000")
        try require(waitingMax >= 0 && waitingMax <= 1_000_000, "waitingMax must be from 0 to 1000000")
        try require(scatterWidth >= 1, "scatterWidth must be at least 1")
        try require(resultBytesMax >= 1, "resultBytesMax must be at least 1")
        let times = [acquireTimeout, connectTimeout, statementTimeout, idleTimeout, lifetimeMax, lagMax, probeInterval]
        try require(times.allSatisfy { $0 > .zero && $0 <= .seconds(86_400 * 365) }, "every duration must be above zero and at most a year")
        if let id { try require(id.wholeMatch(of: /[A-Za-z0-9._-]{1,32}/) != nil, "id must be 1 to 32 letters, digits, '-', '_' and '.'") }
        for router in routers {
            let endpoint = try? PostgresEndpoint.parse(router)
            try require(endpoint?.user != nil && endpoint?.database == nil, "a router's URL must name a user and no database")
        }
        if case .managers(let urls, let token, _) = catalog {
            try require(!urls.isEmpty, "no manager is named")
            for url in urls {
                let parts = URLComponents(string: url)
                let isPlain = parts?.scheme == "http"
                try require(parts?.host?.isEmpty == false && (isPlain || parts?.scheme == "https"), "a manager's URL begins with https:// or http://")
                let isLocal = ["localhost", "127.0.0.1", "[::1]", "::1"].contains(parts?.host ?? "")
                try require(!isPlain || isLocal || token == nil, "a token does not go to another machine without TLS: use https://")
            }
        }
    }
}

/// What a read asks for.
public enum MosaicConsistency: String, Sendable, Hashable {
    /// The primary's present state.
    case strong
    /// A replica's within `lagMax`, and never before this client's own last write to the shard; the primary's where no replica qualifies.
    case eventual
}
