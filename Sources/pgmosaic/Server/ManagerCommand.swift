import ArgumentParser
import Logging
import ManagerService
import ServerConfig

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
            let logger = ServerStart.bootstrapLog(level: settings.logLevel, format: settings.logFormat, label: "manager")
            let store = try await CatalogOpening.forManager(settings.catalog)
            try await ServerStart.naming([("http.port", settings.httpPort)]) {
                try await ManagerServer.run(settings: settings, store: store, logger: logger)
            }
        }
    }
}
