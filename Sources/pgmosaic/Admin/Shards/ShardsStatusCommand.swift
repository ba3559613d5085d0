import ArgumentParser
import ControlAPI

/// `pgmosaic shards status`
struct ShardsStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Say whether routers may use a shard.",
        discussion: """
            active: reads and writes; readonly: reads; inactive: nothing. Statements that need more are refused.

              pgmosaic shards status east readonly
            """)

    enum Status: String, ExpressibleByArgument, CaseIterable { case active, readonly, inactive }

    @Argument(help: "The shard.") var id: String
    @Argument(help: "active, readonly or inactive.") var status: Status
    @Option(name: .customLong("if-version"), help: "Only if its version is still this one. (whatever it is now)") var version: UInt64?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "shards status") { client in
            let path = ShardsCommand.path(of: id)
            // Without --if-version the record is read first; a change in between is then a conflict, which is what it should be.
            let current: JSONValue
            if let version {
                current = .number(String(version))
            } else {
                current = try await client.send(.get, path)["version"] ?? .null
            }
            let answer = try await client.send(.put, path + "/status", body: ["status": .string(status.rawValue), "version": current])
            options.show(JSONText(answer)) { "shard \(id) is \(status.rawValue)" }
        }
    }
}
