internal import Audit
package import CatalogStore
internal import ControlAPI
internal import Foundation
internal import Hummingbird
internal import Listening
package import Logging
internal import NIOCore
internal import NIOPosix
internal import PGChannel
package import RESTServer
internal import ReshardCore
internal import Secrets
package import ServerConfig
internal import ServiceLifecycle
internal import ShardModel
package import Telemetry
internal import UnixSignals

/// The manager: the control plane's REST API over a catalog store.
package enum ManagerServer {
    /// Serves until SIGTERM or SIGINT, then ends within the grace time of the settings. Throws when it cannot start.
    ///
    /// - reloads: one for each time that somebody asks for it (SIGHUP), with the settings as they are now or why they cannot be read. Of them the REST API's
    ///   certificate, those for calling the leader and the log's levels take effect.
    /// - administrator: is made before anything is served, while there is no user.
    package static func run(
        settings: ManagerSettings, reloads: AsyncStream<Result<ManagerSettings, any Error>>? = nil, administrator: FirstAdministrator? = nil,
        store: any CatalogStore, logger: Logger
    ) async throws {
        let certificates = RESTCertificates(try certificate(settings))
        let otherKeys = try SecretBox.load(paths: settings.secretsOtherKeyFiles)
        let box = try settings.secretsKeyFile.map { (path) throws(SecretError) in
            try SecretBox.loadOrCreate(path: path).accepting(otherKeys.map { [$0] } ?? [])
        }
        let authority = try TokenAuthority(settings.auth, box)
        if settings.auth.mode == .none {
            logger.warning("REST asks for no token: who reaches it may do everything", metadata: ["http.host": "\(settings.httpHost)"])
        }
        PrivateFolder.removeStale()
        let audit = try openAudit(settings, logger)
        defer { audit?.close() }
        let group = MultiThreadedEventLoopGroup.singleton
        let startedAt = Timestamp(seconds: Date().timeIntervalSince1970)
        let metrics = SharedMetrics()
        let registry = registry(metrics: metrics, store: store, audit: audit, startedAt: startedAt)
        let inspector = PostgresShardInspector(box: box, group: group, timeout: settings.probeTimeout, allowsLinkLocal: settings.allowsLinkLocal)
        let took = Bell()
        let election = LeaderElection(id: settings.id, store: store, ttl: settings.leader.lease, metrics: metrics, logger: logger.of(.leader)) { took.ring() }
        registry.add { election.metricSnapshot() }
        let monitor = HealthMonitor(store: store, inspector: inspector, election: election, settings: settings.health, logger: logger.of(.health))
        registry.add { monitor.metricSnapshot() }
        let copier = CatalogCopier(
            id: settings.id, store: store, election: election, box: box, settings: settings.copies, group: group,
            addresses: settings.allowsLinkLocal ? .any : .noMetadata, logger: logger.of(.copies))
        registry.add { copier.metricSnapshot() }
        let jobs = supervisor(settings, store: store, election: election, box: box, group: group, metrics: metrics, logger: logger)
        registry.add { jobs.metricSnapshot() }
        let api = ManagerAPI(
            store: store, inspector: inspector, box: box, metrics: metrics, registry: registry, election: election, monitor: monitor,
            authority: authority, audit: audit, jobs: jobs)
        if let administrator, try await api.makeFirst(administrator) {
            logger.notice("the first administrator was made, as the environment says", metadata: ["user": "\(administrator.name)"])
        }
        await tellOfClosedPasswords(store, box, logger)
        let member = MemberAnnouncer(id: settings.id, store: store, election: election, startedAt: startedAt, logger: logger.of(.catalog))
        let leaderTLS = try LeaderTLS(settings.leader, own: settings.httpTLS)
        let client = LeaderClient(id: settings.id, leaderTLS, attemptLimit: settings.probeTimeout * 4 + .seconds(30), box: box)
        let placement = WritePlacement(election, client, settings.leader, metrics: metrics)
        let limits = RESTLimits(connectionsMax: settings.httpConnectionsMax, idleTimeout: settings.httpIdleTimeout)
        let application = RESTApplication(
            responder(
                api, authenticator: settings.auth.mode == .token ? api.authenticator : nil, placement: { try await placement.answer($0, $1, $2) },
                bodyMax: settings.httpBodyMax, callers: box.map { VouchedCallers($0, receiver: election.instance, logger: logger.of(.rest)) },
                access: RESTAccess(settings.access), metrics: metrics, logger: logger.of(.rest)),
            host: settings.httpHost, port: settings.httpPort,
            limits: limits, certificates: certificates,
            group: group, logger: logger.of(.rest)
        ) { port in
            let host = settings.httpHost.contains(":") ? "[\(settings.httpHost)]" : settings.httpHost
            let url = settings.leader.url ?? "\(certificates.isSecure ? "https" : "http")://\(host):\(port)"
            member.started(url: url)
            election.started(url: url)
            if settings.leader.url == nil, ["0.0.0.0", "::"].contains(settings.httpHost) {
                logger.warning(
                    "No other manager can reach this one by http.host: set leader.url, where there are others", metadata: ["url": "\(url)", "id": "\(settings.id)"])
            }
            logger.notice("manager ready", metadata: ["url": "\(url)", "id": "\(settings.id)", "pid": "\(getpid())"])
        }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(service: monitor), .init(service: copier), .init(service: jobs), .init(service: member), .init(service: application),
        ]
        if let address = settings.access.operations {
            let operations = RESTApplication.forOperations(
                at: address, routes: RouteCatalogue.manager, handlers: api.handlers, metrics: metrics, limits: limits, group: group, logger: logger)
            services.append(.init(service: operations))
        }
        var configuration = ServiceGroupConfiguration(
            services: services + [.init(service: election)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = settings.shutdownGrace
        let reloading = reloads.map { reloads in
            Task { for await settings in reloads { reload(settings, certificates, leaderTLS, logger) } }
        }
        // Whoever begins to lead does what its predecessor may have left undone.
        let duties = Task {
            var rings: UInt64 = 0
            while !Task.isCancelled {
                await took.wait(after: rings, until: .now + .seconds(3600))
                guard took.rings > rings else { continue }
                rings = took.rings
                await giveSlices(api.writer, logger)
            }
        }
        defer {
            reloading?.cancel()
            duties.cancel()
            Task { await client.close() }
        }
        try await ServiceGroup(configuration: configuration).run()
        logger.notice("manager stopped", metadata: ["id": "\(settings.id)"])
    }

    private static func supervisor(
        _ settings: ManagerSettings, store: any CatalogStore, election: LeaderElection, box: SecretBox?, group: MultiThreadedEventLoopGroup, metrics: SharedMetrics,
        logger: Logger
    ) -> JobSupervisor {
        let work = PostgresServerWork(
            box: box, group: group, addresses: settings.allowsLinkLocal ? .any : .noMetadata, settings: .init(settings.reshard)
        ) { record in
            try await store.load().jobs[record.id.text]?.version == record.version
        }
        return JobSupervisor(
            store: store, election: election, work: work, ledgers: JobNames.ledgers, settings: settings.reshard, metrics: metrics, logger: logger.of(.reshard))
    }

    /// Said at once, and not only when somebody looks at a shard.
    private static func tellOfClosedPasswords(_ store: any CatalogStore, _ box: SecretBox?, _ logger: Logger) async {
        guard let catalog = try? await store.load() else { return }
        let closed = EndpointSecrets.closed(in: catalog, with: box)
        guard !closed.isEmpty else { return }
        logger.error(
            "Sealed passwords do not open with this manager's keys: was the key rotated? See secrets.key_file and secrets.other_key_files",
            metadata: ["shards": "\(closed.prefix(10).map(\.name).joined(separator: " "))", "count": "\(closed.count)"])
    }

    /// Before anything is served: without the trail that somebody asked for nothing is.
    private static func openAudit(_ settings: ManagerSettings, _ logger: Logger) throws -> AuditTrail? {
        let key = try settings.audit.keyFile.map { (path) throws(SecretError) in try SecretBox.loadOrCreate(path: path).auditKey }
        return try AuditTrail.open(settings.audit, server: settings.id, key: key, logger: logger.of(.audit))
    }

    private static func certificate(_ settings: ManagerSettings) throws(ServerTLSError) -> RESTCertificates.Certificate? {
        try settings.httpTLS.map { (files) throws(ServerTLSError) in try .init(files) }
    }

    /// All of it, or where something is wrong nothing.
    private static func reload(_ settings: Result<ManagerSettings, any Error>, _ certificates: RESTCertificates, _ leaderTLS: LeaderTLS, _ logger: Logger) {
        do {
            let settings = try settings.get()
            let (certificate, applyLeaderTLS) = (try certificate(settings), try leaderTLS.reading(settings.leader, own: settings.httpTLS))
            certificates.replace(certificate)
            applyLeaderTLS()
            LogLevels.now = LogLevels(level: settings.logLevel, subsystems: settings.logLevels)
            logger.notice("Settings reloaded", metadata: ["http_tls": certificates.isSecure ? "certificates read anew, for new connections" : "off"])
        } catch {
            logger.error("The settings were not reloaded; those in force stay", metadata: ["reason": "\(error)"])
        }
    }

    /// Shards of a catalog from before there were slices get theirs. Without a catalog store the next leader does it.
    private static func giveSlices(_ writer: CatalogWriter, _ logger: Logger) async {
        do {
            let count = try await writer.change(author: "manager") { catalog in
                let operations = SliceAssignment.missing(in: catalog)
                return CatalogWriter.Decision(operations: operations) { _ in operations.count }
            }
            if count > 0 { logger.notice("slices of sequence values given to shards") }
        } catch {
            logger.warning("the shards' slices of sequence values could not be looked at", error: error)
        }
    }

    /// - authenticator: nil: everything is everyone's.
    /// - placement: nil: writes are carried out here.
    package static func responder(
        _ api: ManagerAPI, authenticator: RESTAuthenticator? = nil, placement: RESTWritePlacement? = nil, bodyMax: Int, callers: VouchedCallers? = nil,
        access: RESTAccess = RESTAccess(),
        metrics: SharedMetrics, logger: Logger
    ) -> RESTResponder {
        RESTResponder(
            title: "PGMosaic manager", routes: RouteCatalogue.manager, later: RouteCatalogue.managerLater, handlers: api.handlers, bodyMax: bodyMax,
            metrics: metrics, idempotency: IdempotencyCache(), authenticator: authenticator, placement: placement, audit: api.audit, callers: callers, access: access,
            logger: logger)
    }

    private static func registry(metrics: SharedMetrics, store: any CatalogStore, audit: AuditTrail?, startedAt: Timestamp) -> MetricRegistry {
        let registry = MetricRegistry()
        registry.add { metrics.snapshot() }
        registry.add { ProcessMetrics.snapshot(version: BuildVersion.current, role: "manager", startedAt: startedAt) }
        registry.add {
            var snapshot = MetricSnapshot()
            let catalog = try? await store.load()
            snapshot.add(MetricCatalogue.catalogConnected, gauge: catalog == nil ? 0 : 1)
            if let catalog { snapshot.add(MetricCatalogue.catalogEpoch, gauge: Double(catalog.epoch.number)) }
            return snapshot
        }
        if let audit { registry.add { MetricSnapshot(of: audit) } }
        return registry
    }
}
