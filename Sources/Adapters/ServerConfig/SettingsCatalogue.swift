/// Every setting of the router and of the manager: the one list from which files, variables, flags, checks, help and
/// `docs/reference/settings.md` derive.
package enum SettingsCatalogue {
    package static func settings(of role: ServerRole) -> [SettingDeclaration] {
        switch role {
        case .router: router
        case .manager: manager
        }
    }

    // Both servers

    package static let catalog = SettingDeclaration(
        "catalog", .text, default: nil,
        "The catalog store. `sqlite:PATH` is a file that the manager and the routers of one machine share. `postgres://USER@HOST:PORT/DATABASE?...` is a database of a PostgreSQL server, for any number of machines; its password as `password=env:NAME` or `password=file:PATH`, and `sslmode=verify-full` with `sslrootcert=PATH` beyond loopback. `etcds://USER@HOST:PORT,HOST:PORT?...` is an etcd cluster (`etcd://` without TLS), with `password` alike, `cacert=PATH`, `cert=PATH` and `key=PATH`, and `prefix=/pgmosaic/`.")
    package static let httpHost = SettingDeclaration(
        "http.host", .text, default: .text("127.0.0.1"),
        "Address of the REST API. Beyond loopback it needs `http.auth` `token` and a certificate, unless `insecure` says otherwise.")
    package static let httpAuth = SettingDeclaration(
        "http.auth", .choice(["token", "none"]), default: .text("token"),
        "`token`: callers of the REST API show a token, and may do what their roles and grants say. `none`: whoever reaches the port may do everything; only for loopback, or behind something that authenticates.")
    package static let authSecret = SettingDeclaration(
        "auth.secret", .text, default: .text(""),
        "Secret of the cluster's own tokens (HS256), as `env:NAME` or `file:PATH` (mode 0600): at least 32 bytes, the same for all managers and routers. Empty: one that follows from the key of `secrets.key_file`.")
    package static let authIssuer = SettingDeclaration(
        "auth.issuer", .text, default: .text("pgmosaic"), "The `iss` of the cluster's own tokens.")
    package static let authAudience = SettingDeclaration(
        "auth.audience", .text, default: .text("pgmosaic"), "The `aud` that a token must have, or have among its own.")
    package static let authLifetime = SettingDeclaration(
        "auth.token_lifetime", .duration(.seconds(10) ... .seconds(86_400)), default: .duration(.seconds(3600)), "How long a token of a login is valid.")
    package static let authLeeway = SettingDeclaration(
        "auth.leeway", .duration(.zero ... .seconds(300)), default: .duration(.seconds(30)),
        "How much the clocks of those who give tokens and those who check them may differ.")
    package static let authKeySetFile = SettingDeclaration(
        "auth.jwks_file", .path, default: .text(""),
        "JWK Set with the public keys of an identity provider (RS256, ES256, EdDSA), whose tokens are taken as well. A new file is taken up within seconds.")
    package static let authKeySetIssuer = SettingDeclaration(
        "auth.jwks_issuer", .text, default: .text(""), "The `iss` of tokens that keys of `auth.jwks_file` sign; needed with it.")
    package static let insecure = SettingDeclaration(
        "insecure", .boolean, default: .boolean(false),
        "Listen beyond loopback without TLS or without authentication. What is sent can be read and changed on the way, or anybody may do everything.")
    package static let httpBodyMax = SettingDeclaration(
        "http.body_max", .bytes(1024...(1 << 30)), default: .bytes(10 << 20), "Longest request body; a longer one gets 413.")
    package static let httpConnectionsMax = SettingDeclaration(
        "http.connections_max", .integer(1...100_000), default: .integer(1000),
        "Most connections to the REST API; further ones wait to be accepted. As many streams of HTTP/2, over all connections, are answered at a time; further ones get 429.")
    package static let httpIdleTimeout = SettingDeclaration(
        "http.idle_timeout", .duration(.milliseconds(100) ... .seconds(3600)), default: .duration(.seconds(60)),
        "How long a connection to the REST API may be silent, between requests or in the middle of one, or take nothing of a stream, before it is closed.")
    package static let httpTLSCertificateFile = SettingDeclaration(
        "http.tls_certificate_file", .path, default: .text(""),
        "PEM file with the certificate chain of the REST API. With it and `http.tls_key_file` it speaks TLS only, HTTP/1.1 and HTTP/2.")
    package static let httpTLSKeyFile = SettingDeclaration(
        "http.tls_key_file", .path, default: .text(""), "PEM file with the private key of `http.tls_certificate_file`, without a passphrase.")
    package static let httpTLSClientCAFile = SettingDeclaration(
        "http.tls_client_ca_file", .path, default: .text(""),
        "PEM file with authorities: whoever connects to the REST API must show a certificate of theirs, beside its token. Empty: nobody is asked for one.")
    package static let secretsKeyFile = SettingDeclaration(
        "secrets.key_file", .path, default: .text(""),
        "File with the key that seals shard passwords in the catalog; made by the manager on first use, mode 0600. Managers and routers of a cluster need the same file. Empty: no sealed passwords; endpoints may then only refer to `env:` or `file:`.")
    package static let secretsOtherKeyFiles = SettingDeclaration(
        "secrets.other_key_files", .text, default: .text(""),
        "Files with keys, parted by commas, that open what they sealed and seal nothing new: for the time in which the key is rotated (`pgmosaic catalog rekey`). Mode 0600. Tokens that follow from them are taken, too.")
    package static let logLevel = SettingDeclaration(
        "log.level", .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]), default: .text("info"),
        "Least severe level that is logged.")
    package static let logLevels = SettingDeclaration(
        "log.levels", .text, default: .text(""),
        "Levels of single subsystems, as `health=debug,rest=warning`: catalog, wire, replicas, recovery, rest, audit, leader, health, copies, reshard. What is not named logs by `log.level`. While a server runs, `PATCH` of its `log-levels` changes both (see rest.md).")
    package static let logFormat = SettingDeclaration(
        "log.format", .choice(["auto", "json", "text"]), default: .text("auto"),
        "One JSON object a line, or text; `auto` is text on a terminal and JSON otherwise.")
    package static let shutdownGrace = SettingDeclaration(
        "shutdown.grace", .duration(.zero ... .seconds(3600)), default: .duration(.seconds(30)),
        "How long a shutdown waits for open transactions and requests before it cuts them off.")

    package static let httpMetricsListen = SettingDeclaration(
        "http.metrics_listen", .text, default: .text(""),
        "HOST:PORT of a second listener, without TLS and tokens, that serves `/health`, `/ready` and `/metrics` only, to whoever reaches it. Empty: there is none.")
    package static let httpMetricsOnMain = SettingDeclaration(
        "http.metrics_on_main", .boolean, default: .boolean(false),
        "With `http.metrics_listen`: the REST API's own listener serves these paths, too. Otherwise it answers 404.")
    package static let httpRequestsPerAddressMax = SettingDeclaration(
        "http.requests_per_address_max", .integer(0...1_000_000), default: .integer(0),
        "Most requests a second from one address (of IPv6: a /64), health, readiness and metrics aside; further ones get 429. 0: no limit.")
    package static let httpRequestsPerUserMax = SettingDeclaration(
        "http.requests_per_user_max", .integer(0...1_000_000), default: .integer(0), "Most requests a second of one user; further ones get 429. 0: no limit.")
    package static let httpCORSOrigins = SettingDeclaration(
        "http.cors_origins", .text, default: .text(""),
        "Origins whose web pages may call the API from a browser, as `https://console.example.com`, with commas between. Empty: none.")
    private static let access = [httpMetricsListen, httpMetricsOnMain, httpRequestsPerAddressMax, httpRequestsPerUserMax, httpCORSOrigins]

    package static let auditPath = SettingDeclaration(
        "audit.path", .path, default: .text(""),
        "File of the audit trail (mode 0600), one for each server. Where another process has it, as a router's predecessor may, the first free one of `-2` to `-9` before the name's extension. Empty: no trail.")
    package static let auditWhenFull = SettingDeclaration(
        "audit.when_full", .choice(["refuse", "drop"]), default: .text("refuse"),
        "What happens while the trail cannot be written. `refuse`: logins, changes and audited statements fail (53100, over REST 503). `drop`: they go on without a line, and `pgmosaic_audit_events_total` counts them.")
    package static let auditSync = SettingDeclaration(
        "audit.sync", .choice(["always", "second", "never"]), default: .text("second"),
        "When lines are forced to the disk: `always`, before changes over REST are answered; once a `second`; or `never`, which leaves it to the operating system.")
    package static let auditFileMax = SettingDeclaration(
        "audit.file_max", .bytes((64 << 10)...(1 << 30)), default: .bytes(64 << 20), "A larger file of the trail is closed, and a further one begun.")
    package static let auditAgeMax = SettingDeclaration(
        "audit.file_age_max", .duration(.seconds(60) ... .seconds(366 * 86_400)), default: .duration(.seconds(86_400)),
        "A file of the trail whose first line is older is closed, and a further one begun, with the next line.")
    package static let auditFilesMax = SettingDeclaration(
        "audit.files_max", .integer(1...100_000), default: .integer(30), "Most closed files of the trail; the oldest is removed when there is one more.")
    package static let auditQueueMax = SettingDeclaration(
        "audit.queue_max", .integer(100...1_000_000), default: .integer(10_000), "Most events that wait in memory to be written.")
    package static let auditKeyFile = SettingDeclaration(
        "audit.key_file", .path, default: .text(""),
        "File with a key (of the form of `secrets.key_file`, which may be the same; mode 0600) by which each line also has a `mac`. Empty: lines have the hash of the line before only.")
    package static let auditStatements = SettingDeclaration(
        "audit.statements", .choice(["none", "writes"]), default: .text("none"),
        "`writes`: statements that may write have a line, on the wire and over REST: their text without literals and comments.")

    private static let audit = [auditPath, auditWhenFull, auditSync, auditFileMax, auditAgeMax, auditFilesMax, auditQueueMax, auditKeyFile]

    // Router

    package static let routerID = SettingDeclaration(
        "id", .text, default: .text("router-1"), "Name of this router, unique in the cluster.")
    package static let routerHTTPPort = SettingDeclaration(
        "http.port", .integer(0...65535), default: .integer(8080), "Port of the REST API; 0 takes a free one.")
    package static let database = SettingDeclaration(
        "database", .text, default: .text(""),
        "Database of REST requests that name none. Empty: the only one of the catalog, and an error when there are several.")
    package static let snapshotFile = SettingDeclaration(
        "snapshot_file", .path, default: .text(""),
        "Where the router saves the last catalog it saw (mode 0600), to start from when the catalog store is down. Empty: it does not.")
    package static let loops = SettingDeclaration(
        "loops", .integer(0...1024), default: .integer(0), "Event loops (threads); 0 is one a core.")
    package static let wireHost = SettingDeclaration(
        "wire.host", .text, default: .text("127.0.0.1"), "Address of the PostgreSQL protocol.")
    package static let wirePort = SettingDeclaration(
        "wire.port", .integer(0...65535), default: .integer(6432), "Port of the PostgreSQL protocol; 0 takes a free one.")
    package static let sharePorts = SettingDeclaration(
        "share_ports", .boolean, default: .boolean(false),
        "Listen on `wire.port` and `http.port` with SO_REUSEPORT, so that a successor that says so too, of the same user, may start before this router ends: a restart without a pause. Off, a second router on the same ports is an error.")
    package static let wireAuth = SettingDeclaration(
        "wire.auth", .choice(["scram", "trust"]), default: .text("scram"),
        "`scram`: clients prove the password of a user of the catalog (SCRAM-SHA-256). `trust`: anybody who reaches the port is let in; for tests on loopback.")
    package static let clientsMax = SettingDeclaration(
        "wire.clients_max", .integer(1...1_000_000), default: .integer(10_000), "Most client connections; further ones are refused with 53300.")
    package static let startupTimeout = SettingDeclaration(
        "wire.startup_timeout", .duration(.milliseconds(100) ... .seconds(600)), default: .duration(.seconds(10)),
        "Time a client has from connecting to having proved who it is.")
    package static let messageMax = SettingDeclaration(
        "wire.message_max", .bytes(1024...(1 << 30)), default: .bytes(64 << 20),
        "Longest protocol message of a client; a longer one ends the connection before memory is taken for it.")
    package static let preparedStatementsMax = SettingDeclaration(
        "wire.prepared_statements_max", .integer(1...1_000_000), default: .integer(1000), "Most prepared statements of one session.")
    package static let pinnedSessionsMax = SettingDeclaration(
        "wire.pinned_sessions_max", .integer(0...100_000), default: .integer(10),
        "Most shard connections that sessions keep for themselves (LISTEN, session advisory locks, cursors WITH HOLD, temporary tables); each counts in its shard's `pool.size_max`.")
    package static let idleTransactionTimeout = SettingDeclaration(
        "wire.idle_transaction_timeout", .duration(.zero ... .seconds(86_400)), default: .duration(.zero),
        "A session that is idle in a transaction for longer is ended, which frees its shard connection; 0: never.")
    package static let loginsMax = SettingDeclaration(
        "wire.logins_max", .integer(1...1_000_000), default: .integer(1000),
        "Most connections that have not proved yet who they are; when one more comes, the oldest of them is closed. They take no place of `wire.clients_max`.")
    package static let heldStatementsMax = SettingDeclaration(
        "wire.held_statements_max", .integer(1...1_000_000), default: .integer(5000),
        "Most statements that wait while vnodes change their owner; when there are more, the router asks the manager to give the attempt up. Beyond four times as many, further ones fail with 57P03.")
    package static let heldBytesMax = SettingDeclaration(
        "wire.held_bytes_max", .bytes(1024...(1 << 40)), default: .bytes(64 << 20),
        "The same for the bytes of such statements, and of what their clients send behind them.")
    package static let clientsPerUserMax = SettingDeclaration(
        "wire.clients_per_user_max", .integer(0...1_000_000), default: .integer(0), "Most clients of one user; further ones are refused with 53300. 0: no limit of its own.")
    package static let clientsPerDatabaseMax = SettingDeclaration(
        "wire.clients_per_database_max", .integer(0...1_000_000), default: .integer(0),
        "Most clients of one database; further ones are refused with 53300. 0: no limit of its own.")
    package static let transactionTimeout = SettingDeclaration(
        "wire.transaction_timeout", .duration(.zero ... .seconds(86_400)), default: .duration(.zero),
        "A session whose transaction, or whose statement outside of one, takes longer is ended with 25P04, which frees its shard connections; 0: never.")
    package static let consoleUsers = SettingDeclaration(
        "console.users", .text, default: .text(""),
        "Users who may do everything on the console (database `pgmosaic`) beside those with the role admin or operator; names with commas between.")
    package static let tlsMode = SettingDeclaration(
        "tls.mode", .choice(["disable", "allow", "require"]), default: .text("disable"),
        "TLS on the wire port: not offered, offered, or demanded.")
    package static let tlsCertificateFile = SettingDeclaration(
        "tls.certificate_file", .path, default: .text(""), "PEM file with the certificate chain; needed unless `tls.mode` is `disable`.")
    package static let tlsKeyFile = SettingDeclaration(
        "tls.key_file", .path, default: .text(""), "PEM file with the private key; needed unless `tls.mode` is `disable`.")
    package static let tlsClientAuth = SettingDeclaration(
        "tls.client_auth", .choice(["password", "certificate", "both"]), default: .text("password"),
        "How clients prove who they are where `wire.auth` is `scram`: by their password, by a certificate of `tls.client_ca_file` whose common name is the user, or by both.")
    package static let tlsClientCAFile = SettingDeclaration(
        "tls.client_ca_file", .path, default: .text(""),
        "PEM file with the authorities that sign clients' certificates; needed where `tls.client_auth` asks for one.")
    package static let statementTimeout = SettingDeclaration(
        "statement.timeout", .duration(.zero ... .seconds(86_400)), default: .duration(.zero),
        "Longest run of a REST statement that names no `timeout_ms`; 0: no limit. Wire sessions set PostgreSQL's own statement_timeout.")
    package static let lockTimeout = SettingDeclaration(
        "transaction.lock_timeout", .duration(.milliseconds(10) ... .seconds(3600)), default: .duration(.seconds(10)),
        "Longest wait for a lock of a transaction that has several shards; then 55P03. Deadlocks over shards end sooner, with 40P01. A session's own lock_timeout takes its place.")
    package static let textCacheMax = SettingDeclaration(
        "statement.text_cache_max", .integer(0...1_000_000), default: .integer(2000), "Plans kept by statement text, on each event loop.")
    package static let shapeCacheMax = SettingDeclaration(
        "statement.shape_cache_max", .integer(0...1_000_000), default: .integer(2000),
        "Plans kept by statement shape (texts that differ only in literals), on each event loop.")
    package static let restRowsMax = SettingDeclaration(
        "rest.rows_max", .integer(1...10_000_000), default: .integer(100_000),
        "Most rows of one REST answer; a larger result is an error, never a part. Not of a stream, which may have any number.")
    package static let restBytesMax = SettingDeclaration(
        "rest.bytes_max", .bytes(1024...(1 << 30)), default: .bytes(64 << 20), "Largest REST answer, or row of a stream; a larger one is an error.")
    package static let restSQLComments = SettingDeclaration(
        "rest.sql_comments", .boolean, default: .boolean(false),
        "Statements of requests whose trace is sampled name it to the shards in a comment (sqlcommenter). Each is planned anew, for its text is like no other.")
    package static let poolSizeMax = SettingDeclaration(
        "pool.size_max", .integer(1...10_000), default: .integer(20), "Most connections to one shard, over all event loops of the router.")
    package static let poolSizeMin = SettingDeclaration(
        "pool.size_min", .integer(0...10_000), default: .integer(0), "Connections to a shard kept open even when idle.")
    package static let poolIdleTimeout = SettingDeclaration(
        "pool.idle_timeout", .duration(.zero ... .seconds(86_400)), default: .duration(.seconds(300)),
        "A shard connection unused for longer is closed (down to `pool.size_min`); 0: never.")
    package static let poolLifetimeMax = SettingDeclaration(
        "pool.lifetime_max", .duration(.zero ... .seconds(7 * 86_400)), default: .duration(.seconds(3600)),
        "A shard connection older than this is replaced when it is next free; 0: never.")
    package static let poolWaitersMax = SettingDeclaration(
        "pool.waiters_max", .integer(0...1_000_000), default: .integer(1000),
        "Most sessions that wait for a connection to one shard, over all event loops; further ones get 53300 at once.")
    package static let poolWaitTimeout = SettingDeclaration(
        "pool.wait_timeout", .duration(.milliseconds(1) ... .seconds(3600)), default: .duration(.seconds(10)),
        "Longest wait for a connection to a shard; then 53300.")
    package static let poolHealthCheckAfter = SettingDeclaration(
        "pool.health_check_after", .duration(.zero ... .seconds(86_400)), default: .duration(.seconds(30)),
        "A shard connection idle for longer is tested before it is used; 0: always.")
    package static let poolShareWait = SettingDeclaration(
        "pool.share_wait", .duration(.zero ... .seconds(1)), default: .duration(.milliseconds(1)),
        "Quick reads outside of transactions share a shard connection where one can be expected to wait no longer than this for those before it; 0: never.")
    package static let poolConnectTimeout = SettingDeclaration(
        "pool.connect_timeout", .duration(.milliseconds(10) ... .seconds(300)), default: .duration(.seconds(5)),
        "Longest time to connect to a shard, authentication included.")

    package static let fetchedMax = SettingDeclaration(
        "across.fetched_max", .bytes(1024...(1 << 40)), default: .bytes(256 << 20),
        "Most bytes of rows that are brought to the home shard for one statement, into temporary tables there; a statement that needs more fails with 54000.")
    package static let replicaLagMax = SettingDeclaration(
        "replica.lag_max", .duration(.milliseconds(100) ... .seconds(86_400)), default: .duration(.seconds(10)),
        "Replicas that are further behind their primary are not read from.")
    package static let replicaProbeInterval = SettingDeclaration(
        "replica.probe_interval", .duration(.milliseconds(10) ... .seconds(3600)), default: .duration(.milliseconds(500)),
        "Between two looks at a replica, and at a primary that has some. A session that wrote reads from replicas after the next look at the earliest.")
    package static let replicaProbeTimeout = SettingDeclaration(
        "replica.probe_timeout", .duration(.milliseconds(10) ... .seconds(300)), default: .duration(.seconds(3)),
        "A replica that does not answer a look for longer is not read from; reads that wait for it go to the primary.")

    package static let router: [SettingDeclaration] = [
        routerID, catalog, snapshotFile, database, loops, secretsKeyFile, secretsOtherKeyFiles, sharePorts,
        wireHost, wirePort, wireAuth, clientsMax, startupTimeout, messageMax, preparedStatementsMax, pinnedSessionsMax, idleTransactionTimeout,
        transactionTimeout, loginsMax, heldStatementsMax, heldBytesMax, clientsPerUserMax, clientsPerDatabaseMax, consoleUsers,
        tlsMode, tlsCertificateFile, tlsKeyFile, tlsClientAuth, tlsClientCAFile,
        httpHost, routerHTTPPort, httpTLSCertificateFile, httpTLSKeyFile, httpTLSClientCAFile, httpAuth, authSecret, authIssuer, authAudience, authLifetime, authLeeway,
        authKeySetFile, authKeySetIssuer, insecure, httpBodyMax, httpConnectionsMax, httpIdleTimeout, restRowsMax, restBytesMax,
        restSQLComments, statementTimeout, lockTimeout, textCacheMax, shapeCacheMax,
        poolSizeMax, poolSizeMin, poolIdleTimeout, poolLifetimeMax, poolWaitersMax, poolWaitTimeout, poolHealthCheckAfter,
        poolConnectTimeout, poolShareWait, fetchedMax, replicaLagMax, replicaProbeInterval, replicaProbeTimeout,
    ] + access + audit + [auditStatements, logLevel, logLevels, logFormat, shutdownGrace]

    /// What a router takes up when it is told to reload; the others are read at its start only.
    package static let reloadable: [SettingDeclaration] = [
        database, wireAuth, clientsMax, startupTimeout, messageMax, preparedStatementsMax, idleTransactionTimeout, transactionTimeout, loginsMax,
        heldStatementsMax, heldBytesMax, clientsPerUserMax, clientsPerDatabaseMax, pinnedSessionsMax,
        consoleUsers, tlsMode, tlsCertificateFile, tlsKeyFile, tlsClientAuth, tlsClientCAFile, httpTLSCertificateFile, httpTLSKeyFile, httpTLSClientCAFile,
        restRowsMax, restBytesMax, restSQLComments, statementTimeout, lockTimeout, textCacheMax, shapeCacheMax, poolSizeMax, poolSizeMin, poolIdleTimeout, poolLifetimeMax, poolWaitersMax,
        poolWaitTimeout, poolHealthCheckAfter, poolConnectTimeout, poolShareWait, fetchedMax, logLevel, logLevels, shutdownGrace,
    ]

    // Manager

    package static let managerID = SettingDeclaration(
        "id", .text, default: .text("manager-1"), "Name of this manager, unique in the cluster.")
    package static let managerHTTPPort = SettingDeclaration(
        "http.port", .integer(0...65535), default: .integer(8081), "Port of the REST API; 0 takes a free one.")
    package static let probeTimeout = SettingDeclaration(
        "shard.probe_timeout", .duration(.milliseconds(100) ... .seconds(300)), default: .duration(.seconds(5)),
        "Longest time for the checks of a shard: at registration, for its health and its figures.")

    package static let leaderURL = SettingDeclaration(
        "leader.url", .text, default: .text(""),
        "Where the other managers reach this one's REST API, `https://HOST:PORT`. Empty: made of `http.host` and `http.port`, which does for managers of one machine.")
    package static let leaderLease = SettingDeclaration(
        "leader.lease", .duration(.seconds(2) ... .seconds(60)), default: .duration(.seconds(3)),
        "How long the leading manager may be silent before another takes over. The same for all managers of a cluster.")
    package static let leaderForward = SettingDeclaration(
        "leader.forward", .choice(["forward", "redirect"]), default: .text("forward"),
        "What a manager that does not lead does with a write: `forward` passes it on to the leader and brings the answer, `redirect` answers 307 with the leader's address.")
    package static let leaderWait = SettingDeclaration(
        "leader.wait", .duration(.zero ... .seconds(300)), default: .duration(.seconds(10)),
        "How long a write waits while no manager leads, or the leader does not answer; after that it is answered with 503.")
    package static let leaderCAFile = SettingDeclaration(
        "leader.ca_file", .path, default: .text(""),
        "PEM file with the authorities that the leader's certificate must be of. Empty: those that this machine trusts.")
    package static let leaderCertificateFile = SettingDeclaration(
        "leader.certificate_file", .path, default: .text(""),
        "PEM file with the certificate chain that this manager shows to a leader that asks for one (`http.tls_client_ca_file`). Empty: that of `http.tls_certificate_file`.")
    package static let leaderKeyFile = SettingDeclaration(
        "leader.key_file", .path, default: .text(""), "PEM file with the private key of `leader.certificate_file`, without a passphrase.")

    package static let copiesEnabled = SettingDeclaration(
        "copies.enabled", .boolean, default: .boolean(true),
        "Keep a copy of the catalog on each shard (`pgmosaic.catalog_copy`), from which `pgmosaic catalog recover` makes a lost catalog anew. With `secrets.key_file` it is sealed; without, users are left out, and whoever may run SQL on a shard can read and change it.")
    package static let copiesInterval = SettingDeclaration(
        "copies.interval", .duration(.milliseconds(100) ... .seconds(3600)), default: .duration(.seconds(5)),
        "How often the leader looks whether shards lack the newest catalog; at least nine times as long passes between two rounds as a round takes.")
    package static let reshardPauseBudget = SettingDeclaration(
        "reshard.pause_budget", .duration(.milliseconds(50) ... .seconds(10)), default: .duration(.milliseconds(500)),
        "How long statements for moved vnodes may wait while their owner changes. An attempt that takes longer is given up, and made again later.")
    package static let reshardDrainLimit = SettingDeclaration(
        "reshard.drain_limit", .duration(.milliseconds(10) ... .seconds(10)), default: .duration(.milliseconds(150)),
        "How long routers may take, of that time, until nothing is under way for the moved vnodes. When one takes longer, the attempt is given up, and made again after a pause.")
    package static let reshardEndTransactions = SettingDeclaration(
        "reshard.end_transactions", .boolean, default: .boolean(false),
        "End transactions that are still open on the old owners at `reshard.drain_limit` with 40001, instead of giving the attempt up. A job may say otherwise. What may be committing, and statements outside of transactions, are waited for.")
    package static let reshardSlowdownMax = SettingDeclaration(
        "reshard.copy_slowdown_max", .integer(0...100_000), default: .integer(150),
        "How slow commits on a source may become while rows are copied from it or compared, in percent of before; slower, and less and less is read. Commits under 2 ms are never too slow. 0: the load does not count.")
    package static let reshardRateMin = SettingDeclaration(
        "reshard.copy_rate_min", .bytes(1024...(1 << 40)), default: .bytes(4 << 20), "Bytes a second that a copy reads from a source at least, however slow it is.")
    package static let reshardRateMax = SettingDeclaration(
        "reshard.copy_rate_max", .bytes(0...(1 << 50)), default: .bytes(0), "Bytes a second that a copy reads from a source at most; 0: as fast as it goes.")
    package static let healthInterval = SettingDeclaration(
        "health.interval", .duration(.milliseconds(100) ... .seconds(3600)), default: .duration(.seconds(5)),
        "Time from one probe of a shard's server to the next.")
    package static let healthDeadline = SettingDeclaration(
        "health.deadline", .duration(.milliseconds(50) ... .seconds(60)), default: .duration(.seconds(2)),
        "Longest time that a probe may take; a server that takes longer has not answered.")
    package static let healthFailures = SettingDeclaration(
        "health.failures", .integer(1...1000), default: .integer(3), "Failed probes in a row after which a server is unreachable; before, it is degraded.")
    package static let healthRecoveries = SettingDeclaration(
        "health.recoveries", .integer(1...1000), default: .integer(2), "Good probes in a row after which a server is healthy again.")
    package static let healthLagMax = SettingDeclaration(
        "health.lag_max", .duration(.zero ... .seconds(86_400)), default: .duration(.seconds(30)), "A replica that is further behind is degraded.")
    package static let healthConnectionsPercent = SettingDeclaration(
        "health.connections_max_percent", .integer(1...1000), default: .integer(90),
        "A server that has this share of its max_connections in use is degraded; above 100: never for that.")
    package static let healthInDoubtMax = SettingDeclaration(
        "health.in_doubt_max", .duration(.zero ... .seconds(30 * 86_400)), default: .duration(.seconds(300)),
        "A server with an older prepared transaction is degraded: routers settle theirs within seconds.")
    package static let healthSlotBytesMax = SettingDeclaration(
        "health.slot_bytes_max", .bytes(0...(1 << 60)), default: .bytes(10 << 30),
        "A server with a replication slot that keeps more log is degraded: its disk is filling.")
    package static let allowLinkLocal = SettingDeclaration(
        "shard.allow_link_local", .boolean, default: .boolean(false),
        "Shards and replicas may have link-local addresses (169.254.0.0/16, fe80::/10) and those of clouds' metadata services, which the manager refuses to connect to otherwise, whatever name stands for them.")

    package static let manager: [SettingDeclaration] = [
        managerID, catalog, leaderURL, leaderLease, leaderForward, leaderWait, leaderCAFile, leaderCertificateFile, leaderKeyFile, copiesEnabled, copiesInterval, reshardPauseBudget, reshardDrainLimit, reshardEndTransactions, reshardSlowdownMax, reshardRateMin, reshardRateMax, secretsKeyFile, secretsOtherKeyFiles, httpHost, managerHTTPPort, httpTLSCertificateFile, httpTLSKeyFile, httpTLSClientCAFile, httpAuth, authSecret, authIssuer, authAudience, authLifetime, authLeeway,
        authKeySetFile, authKeySetIssuer, insecure, httpBodyMax, httpConnectionsMax, httpIdleTimeout,
        probeTimeout, allowLinkLocal, healthInterval, healthDeadline, healthFailures, healthRecoveries, healthLagMax, healthConnectionsPercent,
        healthInDoubtMax, healthSlotBytesMax,
    ] + access + audit + [logLevel, logLevels, logFormat, shutdownGrace]
}
