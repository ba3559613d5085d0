internal import Foundation

/// Whether the catalog's file may hold commits that no look has seen, asked of the file system alone: looking costs many times as much.
struct CommitTraces {
    /// Longer than a tick of any file system's clock: a second write within one leaves the same time behind.
    private static let settling = 0.1
    /// However still the file seems, it is looked at again after so many questions.
    private static let skippedMax = 40

    private let path: String
    private var seen: Traces?
    private var skipped = 0

    init(_ path: String) { self.path = path }

    /// To be asked before each look; true makes it necessary.
    mutating func mayHaveChanged() -> Bool {
        let traces = Traces(path)
        if let traces, traces == seen, skipped < Self.skippedMax {
            skipped += 1
            return false
        }
        skipped = 0
        seen = traces.flatMap { Date().timeIntervalSince1970 - $0.newest > Self.settling ? $0 : nil }
        return true
    }

    /// What a commit leaves on the file and its write-ahead log.
    private struct Traces: Equatable {
        private var file: Status
        private var log: Status?

        /// nil when there is no file.
        init?(_ path: String) {
            guard let file = Status(path) else { return nil }
            self.file = file
            log = Status(path + "-wal")
        }

        var newest: Double { max(file.time, log?.time ?? 0) }
    }

    private struct Status: Equatable {
        private var inode: UInt64
        private var size: Int64
        private var seconds: Int64
        private var nanoseconds: Int64

        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            inode = UInt64(truncatingIfNeeded: status.st_ino)
            size = Int64(status.st_size)
            seconds = Int64(status.st_mtim.tv_sec)
            nanoseconds = Int64(status.st_mtim.tv_nsec)
        }

        var time: Double { Double(seconds) + Double(nanoseconds) / 1e9 }
    }
}
