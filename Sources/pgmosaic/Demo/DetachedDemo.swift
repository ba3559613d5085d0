import Foundation
import PostgresProcess

/// The demo in the background: the same process as in the foreground, in a session of its own.
struct DetachedDemo {
    let folder: DemoFolder
    let progress: Progress

    /// Returns when the demo is ready, having shown its progress; throws when it ended before.
    func start(_ arguments: [String]) async throws {
        try folder.claim()
        if let holder = DemoLock.holder(of: folder) { throw DemoError.otherRun(pid: holder, folder: folder.path) }
        // What an earlier run left must not be taken for this one.
        try folder.write(DemoDescription.notReady, to: folder.description)
        try? FileManager.default.removeItem(atPath: folder.log)
        let child = try DetachedProcess.start(try DemoRun.ownProgram(), arguments, log: folder.log)
        var shown = 0
        while true {
            let status = child.exitStatus()
            shown = show(from: shown)
            if let status {
                // The reason is in the lines just shown.
                throw DemoError("the demo ended with status \(status) before it was ready")
            }
            if let description = folder.readDescription(), description.ready, description.pid == child.pid {
                // The closing block follows the description at once.
                try await Task.sleep(for: .milliseconds(200))
                _ = show(from: shown)
                return
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Prints what the log holds beyond `offset`; answers the new offset.
    private func show(from offset: Int) -> Int {
        guard let data = FileManager.default.contents(atPath: folder.log), data.count > offset else { return offset }
        try? FileHandle.standardOutput.write(contentsOf: data.dropFirst(offset))
        return data.count
    }
}
