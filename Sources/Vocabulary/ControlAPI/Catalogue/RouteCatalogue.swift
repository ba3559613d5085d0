/// Every REST operation of both servers. A server refuses to start without a handler for each of its routes, or with one for no route.
package enum RouteCatalogue {
    package static let router: [APIRoute] = [
        APIRoute(
            .post, "/v1/execute", tag: "statements",
            "Run one statement with typed parameters, or, with `options.explain`, say where it would go (`RouteExplanation`); may be a stream",
            request: .reference("Execute"), answer: .json(.reference("ExecuteAnswer")), mayStream: true),
        APIRoute(
            .post, "/v1/batch", tag: "statements", "Run several statements in one transaction: all of them, or none", request: .reference("Batch"),
            answer: .json(.reference("BatchAnswer"))),
        APIRoute(
            .get, "/v1/shard-for-key", tag: "statements", "The shard that owns a key",
            query: [
                .init("key", .string, "The key, as text", isRequired: true),
                .init("database", .string, "May be left out when the router has a default database"),
            ],
            answer: .json(.reference("ShardForKey"))),
        APIRoute(.get, "/v1/health", tag: "server", "Liveness", answer: .json(.reference("Health"))),
    ] + logLevels("/v1/log-levels") + common

    package static let manager: [APIRoute] = users + databases + shards + reshard + cluster + logLevels("/api/v1/log-levels") + common

    private static let users: [APIRoute] = [
        APIRoute(
            .post, "/api/v1/auth/setup", tag: "users", "Make the first administrator; only while no user exists",
            request: .reference("Setup"), status: 201, answer: .json(.reference("User"))),
        APIRoute(
            .post, "/api/v1/auth/login", tag: "users", "A token for a user's name and password", request: .reference("Login"),
            answer: .json(.reference("LoginAnswer"))),
        APIRoute(.post, "/api/v1/auth/logout", tag: "users", "Make the request's own token void", status: 204, answer: .none),
        APIRoute(
            .post, "/api/v1/auth/revoke", tag: "users", "Make one token void, or all that a user has until now", request: .reference("Revoke"), status: 204,
            answer: .none),
        APIRoute(
            .get, "/api/v1/users", tag: "users", "The users", query: paging, answer: page(of: "User")),
        APIRoute(
            .post, "/api/v1/users", tag: "users", "Add a user", request: .reference("CreateUser"), status: 201,
            answer: .json(.reference("User"))),
        APIRoute(.get, "/api/v1/users/{name}", tag: "users", "One user", answer: .json(.reference("User"))),
        APIRoute(
            .put, "/api/v1/users/{name}", tag: "users", "Change a user's password, roles or grants",
            request: .reference("UpdateUser"), answer: .json(.reference("User"))),
        APIRoute(
            .delete, "/api/v1/users/{name}", tag: "users", "Remove a user", query: [version], status: 204, answer: .none),
    ]

    private static let databases: [APIRoute] = [
        APIRoute(.get, "/api/v1/databases", tag: "databases", "The databases", query: paging, answer: page(of: "Database")),
        APIRoute(
            .post, "/api/v1/databases", tag: "databases", "Make a database", request: .reference("CreateDatabase"), status: 201,
            answer: .json(.reference("Database"))),
        APIRoute(.get, "/api/v1/databases/{name}", tag: "databases", "One database", answer: .json(.reference("Database"))),
        APIRoute(
            .delete, "/api/v1/databases/{name}", tag: "databases",
            "Remove a database that has no shards, with its table declarations", query: [version], status: 204, answer: .none),
        APIRoute(
            .get, "/api/v1/databases/{name}/tables", tag: "tables", "The declared tables", query: paging, answer: page(of: "Table")),
        APIRoute(
            .post, "/api/v1/databases/{name}/tables", tag: "tables",
            "Declare where a table's rows live, before it is created or while it is empty",
            request: .reference("DeclareTable"), status: 201, answer: .json(.reference("Table")), also: [200: "It was declared so already"]),
        APIRoute(
            .delete, "/api/v1/databases/{name}/tables/{table}", tag: "tables",
            "Forget a declaration; the table must not exist on the shards", query: [version], status: 204, answer: .none),
    ]

    private static let shards: [APIRoute] = [
        APIRoute(
            .get, "/api/v1/shards", tag: "shards", "The shards",
            query: paging + [.init("database", .string, "Only those of one database")], answer: page(of: "Shard")),
        APIRoute(
            .post, "/api/v1/shards", tag: "shards",
            "Check a PostgreSQL server, prepare it and give it its part of the ring; of a database with tables, it joins without one", request: .reference("RegisterShard"), status: 201,
            answer: .json(.reference("Shard"))),
        APIRoute(.get, "/api/v1/shards/{id}", tag: "shards", "One shard", answer: .json(.reference("Shard"))),
        APIRoute(
            .delete, "/api/v1/shards/{id}", tag: "shards", "Remove a shard of a database without tables, or one that owns nothing and is not the home shard",
            query: [version], status: 204, answer: .none),
        APIRoute(
            .put, "/api/v1/shards/{id}/status", tag: "shards", "Change a shard's status", request: .reference("ShardStatus"),
            answer: .json(.reference("Shard"))),
        APIRoute(
            .put, "/api/v1/shards/{id}/replicas", tag: "shards", "Replace the list of a shard's replicas, each of them checked",
            request: .reference("ShardReplicas"), answer: .json(.reference("Shard"))),
        APIRoute(
            .get, "/api/v1/shards/{id}/health", tag: "shards", "Probe the shard's servers now; with the state of each and its past changes", answer: .json(.reference("ShardHealth"))),
        APIRoute(
            .get, "/api/v1/shards/{id}/stats", tag: "shards", "Read figures from the shard now", answer: .json(.reference("ShardStats"))),
    ]

    private static let cluster: [APIRoute] = [
        APIRoute(
            .get, "/api/v1/catalog", tag: "cluster",
            "The whole routing snapshot; its `ETag` is the epoch, and `If-None-Match` gives 304",
            query: [
                .init("database", .string, "Only one database"),
                .init("after_epoch", .count, "Wait, up to `wait_ms`, for an epoch above this one; 304 when none came"),
                .init("wait_ms", .bounded(RequestLimits.longPollMilliseconds), "How long to wait with `after_epoch`; 30000 when left out"),
            ],
            answer: .json(.reference("Catalog")), also: [304: "Nothing newer than what the caller has"]),
        APIRoute(
            .get, "/api/v1/managers", tag: "cluster", "The live managers, and which of them leads", query: paging, answer: page(of: "Manager")),
        APIRoute(
            .get, "/api/v1/routers", tag: "cluster", "The live routers and the epoch each serves", query: paging,
            answer: page(of: "Router")),
        APIRoute(
            .get, "/api/v1/audit", tag: "audit", "Lines of this manager's own audit trail, the oldest first; each server has one of its own",
            query: paging + [
                .init("since", .timestamp, "Only lines from this time on (RFC 3339)"), .init("user", .string, "Only lines about one user"),
                .init("action", .string, "Only one kind of line, as `login`"),
            ],
            answer: page(of: "AuditEntry")),
    ]

    /// Each server's own: nothing of it is in the catalog.
    private static func logLevels(_ path: String) -> [APIRoute] {
        [
            APIRoute(.get, path, tag: "server", "The levels of this server's log", answer: .json(.reference("LogLevels"))),
            APIRoute(
                .patch, path, tag: "server",
                "Change levels of this server's log at once, until it reloads its settings or ends; null takes a subsystem's own level away",
                request: .reference("ChangeLogLevels"), answer: .json(.reference("LogLevels"))),
        ]
    }

    private static let common: [APIRoute] = [
        APIRoute(.get, "/health", tag: "server", "Liveness", answer: .json(.reference("Health"))),
        APIRoute(.get, "/ready", tag: "server", "Readiness; 503 while not ready", answer: .json(.reference("Ready"))),
        APIRoute(.get, "/metrics", tag: "server", "Metrics in Prometheus' text format", answer: .text),
        APIRoute(.get, "/openapi.json", tag: "server", "This document", answer: .json(.any)),
    ]

    static let paging: [APIRoute.QueryParameter] = [
        .init("limit", .bounded(1...PageRequest.limitMax), "Items a page; \(PageRequest.limitDefault) when left out"),
        .init("cursor", .text(0...1024, pattern: PageRequest.cursorPattern), "`next_cursor` of the page before"),
    ]

    private static let version = APIRoute.QueryParameter(
        "version", .count, "The version that was read; a different one gives 409. Left out: whatever it is now")

    static func page(of name: String) -> APIRoute.Content {
        .json(.object([.init("items", .array(.reference(name))), .optional("next_cursor", .string)]))
    }
}
