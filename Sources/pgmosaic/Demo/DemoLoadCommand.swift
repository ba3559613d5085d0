import ArgumentParser
import Foundation

/// `pgmosaic demo load`: clients at work, and a line a second of how they fare. Exit status 1 when a statement has failed.
struct DemoLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Let clients read and write, and say each second how they fare. Status 1 if a statement failed.")

    @OptionGroup var folder: DemoFolderOption
    @Option(help: "Connections, over all routers.") var clients = 8
    @Option(help: "Stop after so many seconds (until Ctrl-C).") var seconds: Int?

    func run() async throws {
        try await DemoFolderOption.reportingErrors {
            guard (1...1000).contains(clients) else { throw DemoError("--clients takes 1 to 1000") }
            if let seconds, seconds < 1 { throw DemoError("--seconds takes a number from 1") }
            guard let description = folder.folder.readDescription(), description.ready, let dataset = description.dataset.flatMap(DemoDataset.init(rawValue:))
            else { throw DemoError("no demo is ready in \(folder.folder.path)") }
            let load = try DemoLoad(on: (description.routers ?? []).map(\.dsn), dataset)
            let total = await watch(load, until: StopSignal())
            if total.failures > 0 { throw ExitStatus.failed }
        }
    }

    private func watch(_ load: DemoLoad, until stopped: StopSignal) async -> DemoLoad.Tally {
        let progress = Progress()
        let working = Task { await load.run(clients: clients) }
        var total = DemoLoad.Tally()
        let lines = Task {
            var total = DemoLoad.Tally()
            var count = 0
            while !Task.isCancelled, seconds.map({ count < $0 }) ?? true {
                try? await Task.sleep(for: .seconds(1))
                count += 1
                total.add(say(load.takeTally(), progress))
            }
            return total
        }
        let signal = Task {
            await stopped.wait()
            lines.cancel()
        }
        total.add(await lines.value)
        signal.cancel()
        working.cancel()
        await working.value
        total.add(load.takeTally())
        progress.line(
            "\(Progress.grouped(total.statements)) statements, \(Progress.grouped(total.failures)) failed, the slowest took \(Self.milliseconds(total.slowest)) ms")
        return total
    }

    private func say(_ tally: DemoLoad.Tally, _ progress: Progress) -> DemoLoad.Tally {
        var line = "\(Progress.grouped(tally.statements)) statements, \(tally.failures) failed, slowest \(Self.milliseconds(tally.slowest)) ms"
        if let failure = tally.lastFailure { line += "   \(failure)" }
        progress.step(line)
        return tally
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let tenths = Int(duration / .microseconds(100))
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension DemoLoad.Tally {
    mutating func add(_ other: Self) {
        statements += other.statements
        failures += other.failures
        slowest = max(slowest, other.slowest)
    }
}
