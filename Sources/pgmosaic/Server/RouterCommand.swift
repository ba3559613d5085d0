import ArgumentParser
import Foundation
import Logging
import RouterService
import ServerConfig
import ServiceLifecycle
import Telemetry
import UnixSignals

/// `pgmosaic router`: the data plane.
struct RouterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "router", abstract: "Run a router: one PostgreSQL address (and REST) for all shards.",
        usage: "pgmosaic router --config <file> [--<setting> <value> ...]",
        discussion: SettingsHelp.discussion(of: .router))

    @OptionGroup var arguments: ServerArguments

    func run() async throws {
        try await ServerStart.reportingErrors(of: .router) {
            let resolved = try arguments.load(as: .router)
            let settings = try RouterSettings(resolved)
            let levels = LogLevels(level: settings.logLevel, subsystems: settings.logLevels)
            let logger = ServerStart.bootstrapLog(levels: levels, format: settings.logFormat, label: "router")
            let store = try await CatalogOpening.forRouter(settings, logger: logger)
            let addresses = [("wire.port", settings.wirePort), ("http.port", settings.httpPort)]
            try await ServerStart.naming(addresses) {
                // Caught from before it listens: a SIGHUP would end a process that does not expect it.
                let (requests, asked) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
                let signals = await UnixSignalsSequence(trapping: .sighup)
                let forwarding = Task { for await _ in signals { asked.yield() } }
                defer { forwarding.cancel() }
                let source = SettingsSource(initial: resolved, read: { [arguments] in try arguments.load(as: .router) }, requests: requests)
                let router = RouterServer(settings: settings, source: source, store: store, logger: logger)
                var group = ServiceGroupConfiguration(services: [router], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
                // The router itself keeps to the grace time; this is for a router that does not.
                group.maximumGracefulShutdownDuration = settings.shutdownGrace + .seconds(10)
                StartupPages.giveBackSoon()
                try await ServiceGroup(configuration: group).run()
            }
        }
    }
}
