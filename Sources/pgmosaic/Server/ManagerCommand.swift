import ArgumentParser
import Foundation
import Logging
import ManagerService
import ServerConfig
import Telemetry
import UnixSignals

/// `pgmosaic manager`: the control plane.
struct ManagerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manager", abstract: "Run a manager: the REST API that owns the catalog.",
        usage: "pgmosaic manager --config <file> [--<setting> <value> ...]",
        discussion: SettingsHelp.discussion(of: .manager))

    @OptionGroup var arguments: ServerArguments

    func run() async throws {
        try await ServerStart.reportingErrors(of: .manager) {
            let settings = try ManagerSettings(try arguments.load(as: .manager))
            let administrator = try FirstAdministrator(environment: ProcessInfo.processInfo.environment)
            let levels = LogLevels(level: settings.logLevel, subsystems: settings.logLevels)
            let logger = ServerStart.bootstrapLog(levels: levels, format: settings.logFormat, label: "manager")
            let store = try await CatalogOpening.forManager(settings.catalog)
            try await ServerStart.naming([("http.port", settings.httpPort)]) {
                // Caught from before it listens: a SIGHUP would end a process that does not expect it.
                let (reloads, asked) = AsyncStream.makeStream(of: Result<ManagerSettings, any Error>.self, bufferingPolicy: .bufferingNewest(1))
                let signals = await UnixSignalsSequence(trapping: .sighup)
                let forwarding = Task { [arguments] in
                    for await _ in signals { asked.yield(Result { try ManagerSettings(try arguments.load(as: .manager)) }) }
                }
                defer { forwarding.cancel() }
                StartupPages.giveBackSoon()
                try await ManagerServer.run(settings: settings, reloads: reloads, administrator: administrator, store: store, logger: logger)
            }
        }
    }
}
