import Foundation

/// A running `CatalogCrasher`.
final class Crasher {
    private let process = Process()
    private let output = Pipe()
    private var text = ""

    init(_ arguments: String...) throws {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        process.executableURL = URL(fileURLWithPath: (own as NSString).deletingLastPathComponent + "/CatalogCrasher")
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
        try output.fileHandleForWriting.close()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// Reads until a line starts with `prefix`, or the end. Blocks.
    func waitForLine(_ prefix: String) {
        while !lines.contains(where: { $0.hasPrefix(prefix) }) {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return }
            text += String(decoding: more, as: UTF8.self)
        }
    }

    func kill9() { kill(process.processIdentifier, SIGKILL) }

    /// Everything it said; waits for its end.
    func finish() -> [String] {
        text += String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return lines
    }

    /// Complete lines only: a kill may cut the last one off.
    private var lines: [String] { text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) }

    static func epochs(_ lines: [String]) -> [UInt64] { lines.compactMap { UInt64($0) } }
}
