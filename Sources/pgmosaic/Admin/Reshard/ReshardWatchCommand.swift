import ArgumentParser

/// `pgmosaic reshard watch`
struct ReshardWatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Follow a job until its vnodes have their new owner, or it is over.",
        discussion: "Exit status: 0 the targets have the vnodes; 1 they have not.")

    @Argument(help: "The job.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard watch") { client in
            try await JobWatch(client: client, id: id, printsJSON: options.json).run()
        }
    }
}
