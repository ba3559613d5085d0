import ArgumentParser

/// `pgmosaic reshard reverse`
struct ReshardReverseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reverse", abstract: "Undo a job's switch while it keeps a way back.")

    @Argument(help: "The job.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws { try await ReshardCommand.ask("reverse", of: id, options) }
}
