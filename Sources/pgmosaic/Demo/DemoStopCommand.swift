import ArgumentParser
import Foundation

/// `pgmosaic demo stop`: asks the demo to stop, and returns when nothing of it runs any more.
struct DemoStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop the demo of a folder; its data stays.")

    /// Longer than the limits of all steps of a stop together.
    static let limit = Duration.seconds(90)

    @OptionGroup var folder: DemoFolderOption

    func run() async throws {
        try await DemoFolderOption.reportingErrors {
            let folder = folder.folder
            guard let holder = DemoLock.holder(of: folder) else {
                Progress().line("no demo runs in \(folder.path)")
                return
            }
            guard kill(holder, SIGTERM) == 0 else {
                throw DemoError("the demo's process \(holder) belongs to somebody else; stop it as its user")
            }
            let deadline = ContinuousClock.now + Self.limit
            while DemoLock.holder(of: folder) == holder {
                guard ContinuousClock.now < deadline else { throw DemoError("the demo (pid \(holder)) did not stop in time") }
                try await Task.sleep(for: .milliseconds(50))
            }
            Progress().line("stopped; the data stays in \(folder.path)")
        }
    }
}
