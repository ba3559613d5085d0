package import CatalogStore
package import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import PGChannel
internal import Security
package import ServerConfig
internal import ServiceLifecycle
internal import ShardModel

/// A router: takes clients on its wire port and over REST, and serves them from the shards that the catalog names.
package struct RouterServer: Service {
    private let settings: RouterSettings
    private let store: any CatalogStore
    private let logger: Logger
    private let isListening: @Sendable (Addresses) -> Void

    /// Where it listens, with the ports that were picked for 0.
    package struct Addresses: Sendable {
        package var wirePort: Int
        package var httpPort: Int
    }

    package init(
        settings: RouterSettings, store: any CatalogStore, logger: Logger,
        isListening: @escaping @Sendable (Addresses) -> Void = { _ in }
    ) {
        self.settings = settings
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
        let secrets = try settings.secretsKeyFile.map { try SecretBox.load(path: $0) }
        let tls = try makeTLS()
        let control = ControlPlane(store: store, group: group, routerID: settings.id, secrets: secrets, logger: logger)
        let loops = Array(group.makeIterator())
        let shared = RouterShared(settings: settings, control: control, tls: tls, loopCount: loops.count)
        var references: [LoopReference] = []
        for (number, eventLoop) in loops.enumerated() {
            references.append(LoopReference(RouterLoop(eventLoop: eventLoop, number: number, shared: shared, logger: logger)))
        }
        for reference in references { shared.add(reference) }
        control.attach(references)
        await control.install(try await firstCatalog())

        let wire = try await listen(group, references)
        let wirePort = wire.localAddress?.port ?? settings.wirePort
        let http = RouterREST(settings: settings, shared: shared, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await control.follow(snapshotFile: settings.snapshotFile) }
            tasks.addTask { await Recovery(control: control, logger: logger).run() }
            tasks.addTask { await ReplicaMonitor(control: control, servers: shared.replicas, times: .init(settings), logger: logger).run() }
            tasks.addTask {
                try await http.run(group: group) { httpPort in
                    logger.info("Listening", metadata: ["wire_port": "\(wirePort)", "http_port": "\(httpPort)"])
                    isListening(Addresses(wirePort: wirePort, httpPort: httpPort))
                    await control.announce(settings, wirePort: wirePort, httpPort: httpPort)
                }
            }
            tasks.addTask {
                // Ends with a graceful shutdown, or when the task is cancelled.
                try? await gracefulShutdown()
            }
            // The first to end ends all: a shutdown, or a server that could not start.
            let first = await tasks.nextResult()
            try? await wire.close()
            await drain(references)
            await control.withdraw()
            tasks.cancelAll()
            while let _ = await tasks.nextResult() {}
            await control.stop()
            if case .failure(let error) = first { throw error }
        }
    }

    private func makeTLS() throws -> NIOSSLContext? {
        guard settings.tlsMode != .disable, let certificate = settings.tlsCertificateFile, let key = settings.tlsKeyFile else { return nil }
        return try ServerTLS.context(certificateFile: certificate, keyFile: key)
    }

    /// The catalog, or its saved copy while the catalog is down.
    private func firstCatalog() async throws -> CatalogSnapshot {
        do {
            return try await store.load()
        } catch {
            guard let file = settings.snapshotFile, let saved = try? SnapshotFile.load(from: file) else { throw error }
            logger.warning("The catalog is down: serving from its saved copy", metadata: ["epoch": "\(saved.epoch)"])
            return saved
        }
    }

    private func listen(_ group: MultiThreadedEventLoopGroup, _ references: [LoopReference]) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
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

    /// Open transactions may end, within the limit; then everything is closed.
    private func drain(_ references: [LoopReference]) async {
        for reference in references { reference.run { $0.drain() } }
        let deadline = ContinuousClock.now + settings.shutdownGrace
        while ContinuousClock.now < deadline {
            var open = 0
            for reference in references { open += await reference.ask { $0.sessions.count } }
            if open == 0 { break }
            try? await Task.sleep(for: .milliseconds(20))
        }
        for reference in references { _ = await reference.ask { $0.closeAll() } }
    }
}
