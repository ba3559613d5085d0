internal import Foundation

/// The password that tests use for shards, so that `scripts/run-tests` can search all that a run has left for it.
package enum TestSecret {
    /// The script takes it from this line. Its length is a multiple of three, so that base64 ends with it.
    package static let marker = "Muster0Kennwort1der2Scherbe"

    /// Names the folder that logs are kept in; without it there are none.
    package static let folderVariable = "PGMOSAIC_TEST_LOGS"

    /// Copies the logs and audit trails below a test's folder, which is about to go.
    package static func keepLogs(of folder: String) {
        guard let target = ProcessInfo.processInfo.environment[folderVariable], !target.isEmpty else { return }
        let own = "\(target)/\((folder as NSString).lastPathComponent)"
        let paths = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        for path in paths where path.hasSuffix(".log") || path.hasSuffix(".jsonl") {
            try? FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
            try? FileManager.default.copyItem(atPath: "\(folder)/\(path)", toPath: "\(own)/\(path.replacing("/", with: "-"))")
        }
    }
}
