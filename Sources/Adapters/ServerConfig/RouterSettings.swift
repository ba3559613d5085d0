package import ControlAPI
package import Logging

/// What a router is told at its start. `SettingsCatalogue` has the meaning, default and bounds of each.
package struct RouterSettings: Hashable, Sendable {
    package enum WireAuth: String, Hashable, Sendable, CaseIterable { case scram, trust }
    package enum TLSClientAuth: String, Hashable, Sendable, CaseIterable { case password, certificate, both }
    package enum TLSMode: String, Hashable, Sendable, CaseIterable { case disable, allow, require }

    package var id: String
    package var catalog: String
    /// nil: nothing is saved.
    package var snapshotFile: String?
    /// nil: the only database of the catalog.
    package var database: String?
    /// 0: one a core.
    package var loops: Int
    package var secretsKeyFile: String?
    package var secretsOtherKeyFiles: [String]
    /// SO_REUSEPORT on both ports.
    package var sharesPorts: Bool

    package var wireHost: String
    package var wirePort: Int
    package var wireAuth: WireAuth
    package var clientsMax: Int
    package var startupTimeout: Duration
    package var messageMax: Int
    package var preparedStatementsMax: Int
    package var pinnedSessionsMax: Int
    /// Zero: never.
    package var idleTransactionTimeout: Duration
    /// Zero: never.
    package var transactionTimeout: Duration
    package var loginsMax: Int
    package var heldStatementsMax: Int
    package var heldBytesMax: Int
    package var fetchedMax: Int
    /// Zero: no limit.
    package var clientsPerUserMax: Int
    /// Zero: no limit.
    package var clientsPerDatabaseMax: Int
    package var consoleUsers: [String]
    package var tlsMode: TLSMode
    package var tlsCertificateFile: String?
    package var tlsKeyFile: String?
    package var tlsClientAuth: TLSClientAuth
    package var tlsClientCAFile: String?

    package var httpHost: String
    package var httpPort: Int
    package var httpTLS: HTTPTLSFiles?
    package var auth: AuthSettings
    package var httpBodyMax: Int
    package var httpConnectionsMax: Int
    package var httpIdleTimeout: Duration
    package var restRowsMax: Int
    package var restBytesMax: Int
    package var restSQLComments: Bool

    /// Zero: no limit.
    package var statementTimeout: Duration
    package var lockTimeout: Duration
    package var textCacheMax: Int
    package var shapeCacheMax: Int

    package var poolSizeMax: Int
    package var poolSizeMin: Int
    package var poolIdleTimeout: Duration
    package var poolLifetimeMax: Duration
    package var poolWaitersMax: Int
    package var poolWaitTimeout: Duration
    package var poolHealthCheckAfter: Duration
    package var poolConnectTimeout: Duration
    package var poolShareWait: Duration

    package var replicaLagMax: Duration
    package var replicaProbeInterval: Duration
    package var replicaProbeTimeout: Duration

    package var access: AccessSettings
    package var audit: AuditSettings
    package var logLevel: Logger.Level
    package var logLevels: [LogSubsystem: Logger.Level]
    package var logFormat: LogFormat
    package var shutdownGrace: Duration
    /// How long a shard may take to answer what the router itself asks once no client waits for it. In no catalogue: only tests need another.
    package var abandonedTime = Duration.seconds(30)
    /// How long a statement waits while vnodes change their owner, and how long reads go on at the old one meanwhile. In no catalogue either.
    package var heldTime = Duration.seconds(15)
    package var heldReadTime = Duration.seconds(5)

    /// Throws `ConfigError` when settings do not go together.
    package init(_ values: ResolvedSettings) throws(ConfigError) {
        self.init(unchecked: values)
        try HTTPTLSFiles.check(values)
        try KeyFiles.check(values)
        try access.check()
        try LogLevelList.check(values)
        try auth.check(httpHost: httpHost, hasTLS: httpTLS != nil)
        try check()
    }

    /// The defaults, for tests and for programs that set the rest themselves.
    package static func defaults(catalog: String) -> RouterSettings {
        RouterSettings(unchecked: .defaults(of: .router, catalog: catalog))
    }

    private init(unchecked values: ResolvedSettings) {
        typealias Name = SettingsCatalogue
        id = values.text(Name.routerID)
        catalog = values.text(Name.catalog)
        snapshotFile = values.path(Name.snapshotFile)
        database = values.path(Name.database)
        loops = values.integer(Name.loops)
        secretsKeyFile = values.path(Name.secretsKeyFile)
        secretsOtherKeyFiles = KeyFiles.list(values)
        sharesPorts = values.boolean(Name.sharePorts)
        wireHost = values.text(Name.wireHost)
        wirePort = values.integer(Name.wirePort)
        wireAuth = values.choice(Name.wireAuth)
        clientsMax = values.integer(Name.clientsMax)
        startupTimeout = values.duration(Name.startupTimeout)
        messageMax = values.bytes(Name.messageMax)
        preparedStatementsMax = values.integer(Name.preparedStatementsMax)
        pinnedSessionsMax = values.integer(Name.pinnedSessionsMax)
        idleTransactionTimeout = values.duration(Name.idleTransactionTimeout)
        transactionTimeout = values.duration(Name.transactionTimeout)
        loginsMax = values.integer(Name.loginsMax)
        heldStatementsMax = values.integer(Name.heldStatementsMax)
        heldBytesMax = values.bytes(Name.heldBytesMax)
        fetchedMax = values.bytes(Name.fetchedMax)
        clientsPerUserMax = values.integer(Name.clientsPerUserMax)
        clientsPerDatabaseMax = values.integer(Name.clientsPerDatabaseMax)
        consoleUsers = values.text(Name.consoleUsers).split(separator: ",").map { String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
        tlsMode = values.choice(Name.tlsMode)
        tlsCertificateFile = values.path(Name.tlsCertificateFile)
        tlsKeyFile = values.path(Name.tlsKeyFile)
        tlsClientAuth = values.choice(Name.tlsClientAuth)
        tlsClientCAFile = values.path(Name.tlsClientCAFile)
        httpHost = values.text(Name.httpHost)
        httpPort = values.integer(Name.routerHTTPPort)
        httpTLS = HTTPTLSFiles(values)
        auth = AuthSettings(values)
        httpBodyMax = values.bytes(Name.httpBodyMax)
        httpConnectionsMax = values.integer(Name.httpConnectionsMax)
        httpIdleTimeout = values.duration(Name.httpIdleTimeout)
        restRowsMax = values.integer(Name.restRowsMax)
        restBytesMax = values.bytes(Name.restBytesMax)
        restSQLComments = values.boolean(Name.restSQLComments)
        statementTimeout = values.duration(Name.statementTimeout)
        lockTimeout = values.duration(Name.lockTimeout)
        textCacheMax = values.integer(Name.textCacheMax)
        shapeCacheMax = values.integer(Name.shapeCacheMax)
        poolSizeMax = values.integer(Name.poolSizeMax)
        poolSizeMin = values.integer(Name.poolSizeMin)
        poolIdleTimeout = values.duration(Name.poolIdleTimeout)
        poolLifetimeMax = values.duration(Name.poolLifetimeMax)
        poolWaitersMax = values.integer(Name.poolWaitersMax)
        poolWaitTimeout = values.duration(Name.poolWaitTimeout)
        poolHealthCheckAfter = values.duration(Name.poolHealthCheckAfter)
        poolConnectTimeout = values.duration(Name.poolConnectTimeout)
        poolShareWait = values.duration(Name.poolShareWait)
        replicaLagMax = values.duration(Name.replicaLagMax)
        replicaProbeInterval = values.duration(Name.replicaProbeInterval)
        replicaProbeTimeout = values.duration(Name.replicaProbeTimeout)
        access = AccessSettings(values)
        audit = AuditSettings(values, of: .router)
        logLevel = values.choice(Name.logLevel)
        logLevels = LogLevelList.read(values.text(Name.logLevels)) ?? [:]
        logFormat = values.choice(Name.logFormat)
        shutdownGrace = values.duration(Name.shutdownGrace)
    }

    private func check() throws(ConfigError) {
        if id.isEmpty { throw ConfigError("id", .inconsistent("must not be empty")) }
        if poolSizeMin > poolSizeMax {
            throw ConfigError("pool.size_min", .inconsistent("\(poolSizeMin) is more than pool.size_max (\(poolSizeMax))"))
        }
        if tlsClientAuth != .password {
            if tlsMode != .require { throw ConfigError("tls.client_auth", .inconsistent("\(tlsClientAuth.rawValue) needs tls.mode require")) }
            if tlsClientCAFile == nil { throw ConfigError("tls.client_auth", .inconsistent("\(tlsClientAuth.rawValue) needs tls.client_ca_file")) }
            if wireAuth == .trust { throw ConfigError("tls.client_auth", .inconsistent("\(tlsClientAuth.rawValue) needs wire.auth scram")) }
        }
        if replicaLagMax < replicaProbeInterval * 2 {
            throw ConfigError("replica.lag_max", .inconsistent("must be at least twice replica.probe_interval, or every replica seems to lag"))
        }
        if !auth.isInsecure, !AuthSettings.isLoopback(wireHost), tlsMode != .require || wireAuth == .trust {
            throw ConfigError(
                "wire.host", .inconsistent("\(wireHost) is beyond loopback, which needs tls.mode require and wire.auth scram, or insecure true"))
        }
        if tlsMode != .disable, tlsCertificateFile == nil || tlsKeyFile == nil {
            throw ConfigError("tls.mode", .inconsistent("\(tlsMode.rawValue) needs tls.certificate_file and tls.key_file"))
        }
    }
}

/// The form of log lines; `auto` is text on a terminal and JSON otherwise.
package enum LogFormat: String, Hashable, Sendable, CaseIterable { case auto, json, text }

extension RouterSettings: CustomStringConvertible, CustomReflectable {
    /// Whoever prints settings does not mean the password that `catalog` may hold.
    package var description: String { "settings of \(id)" }
    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
