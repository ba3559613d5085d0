internal import Listening
internal import Logging
internal import PGChannel
internal import PoolCore
internal import RESTServer
package import ServerConfig
internal import ShardModel
internal import Telemetry

/// Where a router's settings come from while it runs.
package struct SettingsSource: Sendable {
    /// Those it was started with.
    package var initial: ResolvedSettings
    /// Reads them anew. Throws a `ConfigError`.
    package var read: @Sendable () throws -> ResolvedSettings
    /// One for each time that somebody asks for it (SIGHUP).
    package var requests: AsyncStream<Void>

    package init(initial: ResolvedSettings, read: @escaping @Sendable () throws -> ResolvedSettings, requests: AsyncStream<Void>) {
        self.initial = initial
        self.read = read
        self.requests = requests
    }
}

/// Reads settings and certificates anew and puts them in force, all of them or, where one is wrong, none.
actor Reloader {
    private let source: SettingsSource
    private let shared: RouterShared
    /// Those of REST.
    private let certificates: RESTCertificates
    private let logger: Logger
    private var current: ResolvedSettings

    init(_ source: SettingsSource, shared: RouterShared, certificates: RESTCertificates, logger: Logger) {
        self.source = source
        self.certificates = certificates
        self.shared = shared
        self.logger = logger
        current = source.initial
    }

    /// Until the task is cancelled.
    func run() async {
        for await _ in source.requests { _ = await reload() }
    }

    /// What was wrong; nil when all is in force.
    func reload() async -> String? {
        let (settings, admission, reloaded): (RouterSettings, Admission, (settings: ResolvedSettings, applied: [ResolvedSettings.Change], needRestart: [ResolvedSettings.Change]))
        let certificate: RESTCertificates.Certificate?
        do {
            reloaded = current.reloading(try source.read())
            settings = try RouterSettings(reloaded.settings)
            admission = try Admission(settings)
            certificate = try settings.httpTLS.map { (files) throws(ServerTLSError) in try RESTCertificates.Certificate(files) }
        } catch {
            logger.error("The settings were not reloaded; those in force stay", metadata: ["reason": "\(error)"])
            return "\(error)"
        }
        current = reloaded.settings
        await apply(settings, admission)
        certificates.replace(certificate)
        logger.notice(
            "Settings reloaded",
            metadata: [
                "changed": .array(reloaded.applied.map { "\($0)" }),
                "tls": admission.tls == nil ? "off" : "certificates read anew, for new connections",
                "http_tls": certificate == nil ? "off" : "certificates read anew, for new connections",
            ])
        if !reloaded.needRestart.isEmpty {
            logger.warning("Settings that changed take effect at the next start only", metadata: ["settings": .array(reloaded.needRestart.map { "\($0)" })])
        }
        return nil
    }

    private func grant(_ index: LoopIndex, _ isMeant: @escaping @Sendable (BackendPool) -> Bool) {
        shared.allLoops.first { $0.number == index.value }?.run { loop in
            for database in loop.databases.values { database.allPools.first(where: isMeant)?.slotGranted() }
        }
    }

    private func apply(_ settings: RouterSettings, _ admission: Admission) async {
        LogLevels.now = LogLevels(level: settings.logLevel, subsystems: settings.logLevels)
        shared.settings = settings
        shared.pins.change(max: settings.pinnedSessionsMax)
        shared.clients.change(ClientBudget.Limits(settings))
        let granted = shared.budgets.resize(to: settings.poolSizeMax)
        let replicasGranted = shared.replicas.resize(to: settings.poolSizeMax)
        for loop in shared.allLoops { _ = await loop.ask { $0.reconfigure(settings, admission) } }
        for (shard, index) in granted { grant(index) { $0.replica == nil && $0.shardID == shard } }
        for (replica, index) in replicasGranted { grant(index) { $0.replica?.key == replica } }
    }
}
