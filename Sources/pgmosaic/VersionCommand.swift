import ArgumentParser
import ControlAPI

/// `pgmosaic version`
struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version of this program.")

    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        Console.line(json ? JSONValue.object([.init("version", .string(BuildVersion.current))]).text : "pgmosaic \(BuildVersion.current)")
    }
}
