internal import Audit
package import CatalogStore
internal import ControlAPI
internal import Listening
package import Logging
internal import NIOCore
internal import NIOPosix
internal import RESTServer
internal import Secrets
package import ServerConfig
internal import ServiceLifecycle
internal import ShardModel
internal import Synchronization
internal import Telemetry

/// A router: takes clients on its wire port and over REST, and serves them from the shards that the catalog names.
package struct RouterServer: Service {
    private let settings: RouterSettings
    /// nil: they are as they are.
    private let source: SettingsSource?
    private let store: any CatalogStore
    private let logger: Logger
    private let isListening: @Sendable (Addresses) -> Void

    /// Where it listens, with the ports that were picked for 0.
    package struct Addresses: Sendable {
        package var wirePort: Int
        package var httpPort: Int
    }

    package init(
        settings: RouterSettings, source: SettingsSource? = nil, store: any CatalogStore, logger: Logger,
        isListening: @escaping @Sendable (Addresses) -> Void = { _ in }
    ) {
        self.settings = settings
        self.source = source
        self.store = store
        self.logger = logger
        self.isListening = isListening
    }

    package static func run(settings: RouterSettings, store: any CatalogStore, logger: Logger) async throws {
        try await RouterServer(settings: settings, store: store, logger: logger).run()
    }

    /// Serves until a graceful shutdown or a cancellation. Throws when it cannot start.
    package func run() async throws {
        let count = settings.loops == 0 ? System.coreCount : settings.loops
        let group = MultiThreadedEventLoopGroup(numberOfThreads: count)
        do {
            try await serve(on: group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try? await group.shutdownGracefully()
    }

    private func serve(on group: MultiThreadedEventLoopGroup) async throws {
        let secrets = try SecretBox.load(paths: (settings.secretsKeyFile.map { [$0] } ?? []) + settings.secretsOtherKeyFiles)
        let authority = settings.auth.mode == .token ? try TokenAuthority(settings.auth, secrets) : nil
        if authority == nil {
            logger.warning("REST asks for no token: who reaches it may do everything", metadata: ["http.host": "\(settings.httpHost)"])
        }
        let admission = try Admission(settings)
        let certificates = RESTCertificates(try settings.httpTLS.map { try .init($0) })
        let auditKey = try settings.audit.keyFile.map { (path) throws(SecretError) in try SecretBox.loadOrCreate(path: path).auditKey }
        let audit = try AuditTrail.open(settings.audit, server: settings.id, key: auditKey, logger: logger.of(.audit))
        defer { audit?.close() }
        let control = ControlPlane(store: store, group: group, routerID: settings.id, secrets: secrets, logger: logger.of(.catalog))
        let tokens = authority.map { authority in
            RESTAuthenticator(authority) {
                guard let catalog = control.catalog else { throw APIError(.notReady, "the router has no catalog yet") }
                return catalog
            }
        }
        let loops = Array(group.makeIterator())
        let shared = RouterShared(settings: settings, control: control, audit: audit, tokens: tokens, loopCount: loops.count)
        var references: [LoopReference] = []
        for (number, eventLoop) in loops.enumerated() {
            references.append(LoopReference(RouterLoop(eventLoop: eventLoop, number: number, shared: shared, admission: admission, logger: logger.of(.wire))))
        }
        for reference in references { shared.add(reference) }
        control.attach(references)
        defer {
            // Each loop holds what all share.
            shared.removeLoops()
            control.attach([])
        }
        await control.install(try await firstCatalog(secrets?.snapshotSeal))

        let wire = try await listen(group, references)
        let wirePort = wire.localAddress?.port ?? settings.wirePort
        let http = RouterREST(settings: settings, shared: shared, certificates: certificates, logger: logger.of(.rest))
        let restHasEnded = Flag()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await control.follow(snapshotFile: settings.snapshotFile) }
            if let source {
                let reloader = Reloader(source, shared: shared, certificates: certificates, logger: logger)
                shared.reloader.withLock { $0 = reloader }
                tasks.addTask {
                    await reloader.run()
                    // Nobody asks any more, which ends nothing.
                    try? await gracefulShutdown()
                }
            }
            tasks.addTask { await Recovery(control: control, logger: logger.of(.recovery)).run() }
            tasks.addTask { await DeadlockWatch(control: control, shared: shared, logger: logger.of(.recovery)).run() }
            tasks.addTask { await ReplicaMonitor(control: control, servers: shared.replicas, times: .init(settings), logger: logger.of(.replicas)).run() }
            tasks.addTask {
                defer { restHasEnded.set() }
                try await http.run(group: group) { httpPort in
                    // The place among the routers first: who waits for the line below ends the predecessor then.
                    await control.announce(settings, wirePort: wirePort, httpPort: httpPort)
                    logger.info("Listening", metadata: ["wire_port": "\(wirePort)", "http_port": "\(httpPort)"])
                    isListening(Addresses(wirePort: wirePort, httpPort: httpPort))
                }
            }
            tasks.addTask {
                // Ends with a graceful shutdown, or when the task is cancelled.
                try? await gracefulShutdown()
            }
            // The first to end ends all: a shutdown, or a server that could not start.
            let first = await tasks.nextResult()
            control.beginToEnd()
            await ShutdownSequence(settings: shared.settings, wire: wire, loops: references, restHasEnded: restHasEnded, logger: logger).run()
            // Not before its last client has gone: a cutover waits for those that are announced, and cuts off the others.
            await control.withdraw()
            tasks.cancelAll()
            while let _ = await tasks.nextResult() {}
            await control.stop()
            shared.reloader.withLock { $0 = nil }
            if case .failure(let error) = first { throw error }
        }
    }

    /// The catalog, or its saved copy while the catalog is down.
    private func firstCatalog(_ seal: SnapshotSeal?) async throws -> CatalogSnapshot {
        do {
            return try await store.load()
        } catch {
            guard let file = settings.snapshotFile else { throw error }
            let saved: CatalogSnapshot
            do {
                saved = try SnapshotFile.load(from: file, seal: seal)
            } catch let refusal {
                logger.error("The catalog is down, and its saved copy is not used", metadata: ["reason": "\(refusal)"])
                throw error
            }
            logger.warning("The catalog is down: serving from its saved copy", metadata: ["epoch": "\(saved.epoch)"])
            return saved
        }
    }

    private func listen(_ group: MultiThreadedEventLoopGroup, _ references: [LoopReference]) async throws -> any Channel {
        try await Listening.bootstrap(group, sharesPort: settings.sharesPorts)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let reference = references.first(where: { $0.eventLoop === channel.eventLoop }) else { return }
                    try channel.pipeline.syncOperations.addHandler(LoginHandler(loop: reference.here(), isInternal: false))
                }
            }
            .bind(host: settings.wireHost, port: settings.wirePort).get()
    }
}

extension RouterServer: CustomStringConvertible, CustomReflectable {
    /// At `debug` the lifecycle's log has each service as text: by reflection that would be the settings as they were given, passwords included.
    package var description: String { "router \(settings.id)" }
    package var customMirror: Mirror { Mirror(self, children: ["id": settings.id]) }
}
