package import ControlAPI
package import Logging

/// What a manager is told at its start. `SettingsCatalogue` has the meaning, default and bounds of each.
package struct ManagerSettings: Hashable, Sendable {
    package var id: String
    package var catalog: String
    package var leader: LeaderSettings
    package var secretsKeyFile: String?
    package var secretsOtherKeyFiles: [String]
    package var copies: CopySettings
    package var reshard: ReshardSettings
    package var httpHost: String
    package var httpPort: Int
    package var httpTLS: HTTPTLSFiles?
    package var auth: AuthSettings
    package var httpBodyMax: Int
    package var httpConnectionsMax: Int
    package var httpIdleTimeout: Duration
    package var probeTimeout: Duration
    package var health: HealthSettings
    package var allowsLinkLocal: Bool
    package var access: AccessSettings
    package var audit: AuditSettings
    package var logLevel: Logger.Level
    package var logLevels: [LogSubsystem: Logger.Level]
    package var logFormat: LogFormat
    package var shutdownGrace: Duration

    package init(_ values: ResolvedSettings) throws(ConfigError) {
        self.init(unchecked: values)
        try HTTPTLSFiles.check(values)
        try KeyFiles.check(values)
        try access.check()
        try LogLevelList.check(values)
        try auth.check(httpHost: httpHost, hasTLS: httpTLS != nil)
        try leader.check()
        try reshard.check()
        if id.isEmpty { throw ConfigError("id", .inconsistent("must not be empty")) }
    }

    /// The defaults, for tests and for programs that set the rest themselves.
    package static func defaults(catalog: String) -> ManagerSettings {
        ManagerSettings(unchecked: .defaults(of: .manager, catalog: catalog))
    }

    private init(unchecked values: ResolvedSettings) {
        typealias Name = SettingsCatalogue
        id = values.text(Name.managerID)
        catalog = values.text(Name.catalog)
        leader = LeaderSettings(values)
        secretsKeyFile = values.path(Name.secretsKeyFile)
        secretsOtherKeyFiles = KeyFiles.list(values)
        copies = CopySettings(values)
        reshard = ReshardSettings(values)
        httpHost = values.text(Name.httpHost)
        httpPort = values.integer(Name.managerHTTPPort)
        httpTLS = HTTPTLSFiles(values)
        auth = AuthSettings(values)
        httpBodyMax = values.bytes(Name.httpBodyMax)
        httpConnectionsMax = values.integer(Name.httpConnectionsMax)
        httpIdleTimeout = values.duration(Name.httpIdleTimeout)
        probeTimeout = values.duration(Name.probeTimeout)
        health = HealthSettings(values)
        allowsLinkLocal = values.boolean(Name.allowLinkLocal)
        access = AccessSettings(values)
        audit = AuditSettings(values, of: .manager)
        logLevel = values.choice(Name.logLevel)
        logLevels = LogLevelList.read(values.text(Name.logLevels)) ?? [:]
        logFormat = values.choice(Name.logFormat)
        shutdownGrace = values.duration(Name.shutdownGrace)
    }
}

extension ManagerSettings: CustomStringConvertible, CustomReflectable {
    /// Whoever prints settings does not mean the password that `catalog` may hold.
    package var description: String { "settings of \(id)" }
    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
