import ArgumentParser

/// `pgmosaic reshard cancel`
struct ReshardCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Cancel a job before its switch; what it made goes, and the sources keep the vnodes.")

    @Argument(help: "The job.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws { try await ReshardCommand.ask("cancel", of: id, options) }
}
