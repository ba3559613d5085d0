import ArgumentParser
import ControlAPI

/// `pgmosaic reshard`
struct ReshardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reshard", abstract: "Move vnodes between shards while they are used: split, merge, move, add and drain shards.",
        discussion: """
            A job copies the rows, follows their changes, compares both sides and then changes the owners. Behind that it
            keeps a way back until it is finished.

              pgmosaic reshard plan split east --to west
              pgmosaic reshard split east --to west --watch
              pgmosaic reshard add-shard west --watch
              pgmosaic reshard watch j2k3m4n5p6
              pgmosaic reshard finish j2k3m4n5p6
            """,
        subcommands: [
            ReshardListCommand.self, ReshardShowCommand.self, ReshardPlanCommand.self, ReshardSplitCommand.self, ReshardMergeCommand.self,
            ReshardMoveCommand.self, ReshardAddShardCommand.self, ReshardDrainShardCommand.self,
            ReshardWatchCommand.self, ReshardCancelCommand.self, ReshardResumeCommand.self, ReshardReverseCommand.self,
            ReshardFinishCommand.self,
        ],
        defaultSubcommand: ReshardListCommand.self)

    static let path = "/api/v1/reshard"
    static func path(of job: String) -> String { "\(path)/jobs/\(APIClient.escape(job))" }

    /// Begins a job; shows it, or follows it to its end.
    static func begin(_ kind: String, _ body: JSONValue, _ client: APIClient, _ options: ManagerOptions, watches: Bool) async throws {
        let answer = try await client.send(.post, "\(path)/\(kind)", body: body)
        guard watches, let id = answer["id"]?.stringValue else { return options.show(JSONText(answer)) { JobText.begun(answer) } }
        try await JobWatch(client: client, id: id, printsJSON: options.json).run()
    }

    /// Asks something of a job.
    static func ask(_ what: String, of job: String, _ options: ManagerOptions) async throws {
        try await options.reportingErrors(of: "reshard \(what)") { client in
            let answer = try await client.send(.post, "\(path(of: job))/\(what)")
            options.show(JSONText(answer)) { JobText.line(answer) }
        }
    }
}
