import Foundation

/// What /proc tells about processes.
package enum ProcessTree {
    /// The direct children of a process.
    package static func children(of parent: Int32) -> [Int32] {
        allPIDs().filter { parentAndState(of: $0)?.parent == parent }
    }

    /// True while the process exists and is not a zombie.
    package static func isAlive(_ pid: Int32) -> Bool {
        guard let state = parentAndState(of: pid)?.state else { return false }
        return state != "Z" && state != "X"
    }

    /// The processes whose command line has `word` in it, this process left out.
    package static func pids(withCommandLineContaining word: String) -> [Int32] {
        allPIDs().filter { pid in
            guard pid != getpid(), let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
            return String(decoding: bytes, as: UTF8.self).contains(word)
        }
    }

    private static func allPIDs() -> [Int32] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
    }

    /// Fields 3 and 4 of /proc/PID/stat. They follow the program's name, which may contain blanks and brackets: hence the last ")".
    private static func parentAndState(of pid: Int32) -> (parent: Int32, state: Character)? {
        guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/stat"),
            let text = String(bytes: bytes, encoding: .utf8), let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 1, let state = fields[0].first, let parent = Int32(fields[1]) else { return nil }
        return (parent, state)
    }
}
