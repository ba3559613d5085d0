import ArgumentParser
import Foundation
import Logging
import RouterService
import ServerConfig
import ServiceLifecycle
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
            let settings = try RouterSettings(try arguments.load(as: .router))
            let logger = ServerStart.bootstrapLog(level: settings.logLevel, format: settings.logFormat, label: "router")
            let store = try await CatalogOpening.forRouter(settings, logger: logger)
            let addresses = [("wire.port", settings.wirePort), ("http.port", settings.httpPort)]
            try await ServerStart.naming(addresses) {
                let router = RouterServer(settings: settings, store: store, logger: logger)
                var group = ServiceGroupConfiguration(services: [router], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
                // The router itself keeps to the grace time; this is for a router that does not.
                group.maximumGracefulShutdownDuration = settings.shutdownGrace + .seconds(10)
                try await ServiceGroup(configuration: group).run()
            }
        }
    }
}
