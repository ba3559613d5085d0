import ArgumentParser
import ControlAPI

/// `pgmosaic reshard show`
struct ReshardShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "One job.")

    @Argument(help: "The job.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard show") { client in
            let answer = try await client.send(.get, ReshardCommand.path(of: id))
            options.show(JSONText(answer)) { JobText.fields(answer) }
        }
    }
}
