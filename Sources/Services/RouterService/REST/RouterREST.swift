internal import ControlAPI
internal import Foundation
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import RESTServer
internal import ServerConfig
internal import Synchronization
internal import Telemetry

/// The router's REST service: statements with typed parameters, and what operators ask a router.
struct RouterREST: Sendable {
    /// Answers kept for repeated requests with an `Idempotency-Key`.
    private static let idempotencyMax = 1000

    let settings: RouterSettings
    let shared: RouterShared
    let certificates: RESTCertificates
    let logger: Logger
    let metrics = SharedMetrics()
    let registry = MetricRegistry()
    let readiness: ReadinessProbe

    init(settings: RouterSettings, shared: RouterShared, certificates: RESTCertificates, logger: Logger) {
        self.settings = settings
        self.certificates = certificates
        self.shared = shared
        self.logger = logger
        readiness = ReadinessProbe(shared.control)
        registerMetrics()
    }

    /// Serves until the task is cancelled or shut down gracefully; calls `isListening` with its port once it takes requests. Throws when it cannot listen.
    func run(group: any EventLoopGroup, _ isListening: @escaping @Sendable (Int) async -> Void) async throws {
        let statements = await StatementRunner(shared.allLoops)
        let responder = RESTResponder(
            title: "PGMosaic router", routes: RouteCatalogue.router, handlers: handlers(statements),
            streams: ["POST /v1/execute": { request in try await executeStreaming(request, statements) }], bodyMax: settings.httpBodyMax,
            metrics: metrics, idempotency: IdempotencyCache(capacity: Self.idempotencyMax), authenticator: shared.tokens, audit: shared.audit,
            access: RESTAccess(settings.access), logger: logger)
        let limits = RESTLimits(connectionsMax: settings.httpConnectionsMax, idleTimeout: settings.httpIdleTimeout, runsOnLoops: true)
        let application = RESTApplication(
            responder, host: settings.httpHost, port: settings.httpPort, sharesPort: settings.sharesPorts,
            limits: limits, certificates: certificates,
            group: group, logger: logger, isListening: isListening)
        let result: Result<Void, any Error>
        do {
            result = .success(try await serve(application, operations(statements, limits, group)))
        } catch {
            result = .failure(error)
        }
        await statements.close()
        try result.get()
    }

    /// The listener for health and metrics; nil: there is none.
    private func operations(_ statements: StatementRunner, _ limits: RESTLimits, _ group: any EventLoopGroup) -> RESTApplication? {
        settings.access.operations.map { address in
            RESTApplication.forOperations(
                at: address, routes: RouteCatalogue.router, handlers: handlers(statements), metrics: metrics, sharesPort: settings.sharesPorts, limits: limits,
                group: group, logger: logger)
        }
    }

    /// Until one of them ends, which ends the other.
    private func serve(_ application: RESTApplication, _ operations: RESTApplication?) async throws {
        guard let operations else { return try await application.run() }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await operations.run() }
            tasks.addTask { try await application.run() }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }

    /// By `APIRoute.id`.
    func handlers(_ statements: StatementRunner) -> [String: RESTHandler] {
        let handlers: [String: RESTHandler] = [
            "POST /v1/execute": { request in try await execute(request, statements) },
            "POST /v1/batch": { request in try await batch(request, statements) },
            "GET /v1/shard-for-key": { request in try await shardForKey(request, statements) },
            "GET /v1/health": { _ in health },
            "GET /health": { _ in health },
            "GET /ready": { _ in try await RESTRequest.offLoop { await ready() } },
            "GET /metrics": { _ in try await RESTRequest.offLoop { .text(await registry.render(), contentType: PrometheusText.contentType) } },
        ]
        return handlers.merging(LogLevelsRoute.handlers(path: "/v1/log-levels")) { $1 }
    }

    private var health: RESTAnswer { .json(HealthAnswer(version: BuildVersion.current)) }

    private func registerMetrics() {
        let startedAt = Timestamp(seconds: Date().timeIntervalSince1970)
        registry.add { [metrics] in metrics.snapshot() }
        registry.add { ProcessMetrics.snapshot(version: BuildVersion.current, role: "router", startedAt: startedAt) }
        registry.add { [readiness] in
            var snapshot = MetricSnapshot()
            snapshot.add(MetricCatalogue.catalogConnected, gauge: await readiness.isCatalogConnected() ? 1 : 0)
            return snapshot
        }
        if let audit = shared.audit { registry.add { MetricSnapshot(of: audit) } }
        for loop in shared.allLoops {
            registry.add { await loop.ask { $0.metrics.snapshot(of: $0) } }
        }
    }
}
