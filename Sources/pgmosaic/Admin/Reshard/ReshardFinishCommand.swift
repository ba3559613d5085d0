import ArgumentParser

/// `pgmosaic reshard finish`
struct ReshardFinishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "finish", abstract: "End a job behind its switch: the moved rows leave the sources, and there is no way back.")

    @Argument(help: "The job.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws { try await ReshardCommand.ask("finish", of: id, options) }
}
