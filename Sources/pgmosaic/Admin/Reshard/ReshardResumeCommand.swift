import ArgumentParser

/// `pgmosaic reshard resume`
struct ReshardResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let a job that waits between two tries begin the next one at once.")

    @Argument(help: "The job.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws { try await ReshardCommand.ask("resume", of: id, options) }
}
