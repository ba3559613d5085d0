import ClusterTestKit
import Foundation
import Testing

/// Stops the manager at a named point of a job: `copying.before`, `copying.after`. The manager's side is `JobPoint`, which debug builds alone have.
struct JobPoints: Sendable {
    static let variable = "PGMOSAIC_JOB_POINTS"
    let folder: String

    /// The manager waits there, when it comes there next.
    func pause(at point: String) throws { try Data("pause".utf8).write(to: URL(fileURLWithPath: path(point))) }

    func isReached(_ point: String) -> Bool { FileManager.default.fileExists(atPath: path(point) + ".reached") }

    /// The manager goes on, or does not stop there any more.
    func release(_ point: String) {
        for file in [path(point), path(point) + ".reached"] { try? FileManager.default.removeItem(atPath: file) }
    }

    func releaseAll() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] { try? FileManager.default.removeItem(atPath: "\(folder)/\(name)") }
    }

    private func path(_ point: String) -> String { "\(folder)/\(point)" }
}
