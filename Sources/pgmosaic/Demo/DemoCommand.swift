import ArgumentParser
import Foundation

extension DemoDataset: ExpressibleByArgument {}

/// `pgmosaic demo`: a whole cluster on this machine.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Start PostgreSQL shards, a manager and routers on this machine, with data in them.",
        usage: """
            pgmosaic demo [--dir <dir>] [--shards <n>] [--spares <n>] [--replicas <n>] [--routers <n>]
                          [--dataset shop|flights|none] [--wire-port <port>] [--router-port <port>]
                          [--manager-port <port>] [--detach]
            pgmosaic demo status|stop|load [--dir <dir>]
            """,
        discussion: """
            Runs until Ctrl-C, or in the background with --detach. The folder keeps the
            data: the same command resumes with it. What runs, and where, is in demo.json
            in the folder (docs/reference/demo-json.md describes it).

            Four shards with a web shop in them, in the folder demo:
              pgmosaic demo
            New York's flights of 2013 on eight shards, behind two routers:
              pgmosaic demo --dir flights --dataset flights --shards 8 --routers 2
            Two shards, each with two streaming replicas that eventual reads go to:
              pgmosaic demo --dir replicated --shards 2 --replicas 2
            In the background, on free ports:
              pgmosaic demo --dir /tmp/d --detach \\
                --wire-port 0 --router-port 0 --manager-port 0
              pgmosaic demo status --dir /tmp/d
              pgmosaic demo stop --dir /tmp/d
            Clients at work on it, to watch while its data move to a spare server:
              pgmosaic demo load
            All options with their defaults:
              pgmosaic demo run --help
            """,
        subcommands: [Run.self, DemoStatusCommand.self, DemoStopCommand.self, DemoLoadCommand.self], defaultSubcommand: Run.self)

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Start the demo (what `demo` does without a subcommand).")

        @OptionGroup var folder: DemoFolderOption
        @Option(help: "PostgreSQL servers to start (4 for a new folder).") var shards: Int?
        @Option(help: "Further servers, which own nothing until vnodes are moved to them (1 for a new folder with a data set).")
        var spares: Int?
        @Option(help: "Streaming replicas of each server (0 for a new folder).") var replicas: Int?
        @Option(help: "Routers to start (1 for a new folder).") var routers: Int?
        @Option(help: "shop: generated web shop; flights: New York's flights of 2013; none: empty. (shop for a new folder)")
        var dataset: DemoDataset?
        @Option(help: "Port of the first router for PostgreSQL clients; 0 takes a free one. (6432)") var wirePort: Int?
        @Option(help: "Port of the first router for REST; 0 takes a free one. (8080)") var routerPort: Int?
        @Option(help: "Port of the manager; 0 takes a free one. (8081)") var managerPort: Int?
        @Option(help: "Where the files of the data set flights are kept.") var flightsDir: String = ".cache/nycflights13"
        @Flag(help: "Return when the demo is ready, and leave it running.") var detach = false

        func run() async throws {
            let options = DemoOptions(
                dir: folder.folder.path, shards: shards, spares: spares, replicas: replicas, routers: routers, dataset: dataset, wirePort: wirePort,
                routerPort: routerPort, managerPort: managerPort, flightsFolder: DemoFolder(flightsDir).path)
            try await DemoFolderOption.reportingErrors {
                if detach {
                    try options.check()
                    try await DetachedDemo(folder: folder.folder, progress: Progress()).start(withoutDetach())
                } else {
                    let stop = StopSignal()
                    try await DemoRun(options: options, folder: folder.folder, progress: Progress()).run(until: stop)
                }
            }
        }

        /// The command line of the process that stays.
        private func withoutDetach() -> [String] {
            CommandLine.arguments.dropFirst().filter { $0 != "--detach" }
        }
    }
}

/// `--dir`, which all demo commands share.
struct DemoFolderOption: ParsableArguments {
    @Option(help: "The demo's folder.") var dir: String = "demo"

    var folder: DemoFolder { DemoFolder(dir) }

    /// A failure is one clear line and status 1, never a page of Swift.
    static func reportingErrors(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let exit as ExitCode {
            throw exit
        } catch {
            Console.complain("pgmosaic demo: \(error)")
            throw ExitStatus.failed
        }
    }
}
