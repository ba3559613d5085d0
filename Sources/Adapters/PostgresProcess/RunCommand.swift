import CSpawn
import Foundation

/// What a program that ran to its end left.
package struct CommandResult: Sendable {
    package var status: Int32
    package var output: String
    package var errors: String

    /// The last lines of what it printed, in one line, for an error message.
    package var lastLines: String {
        let text = errors.isEmpty ? output : errors
        return text.split(separator: "\n").suffix(3).joined(separator: " | ")
    }
}

extension SupervisedProcess {
    /// Runs a program to its end and returns what it printed, whatever its status.
    ///
    /// `command.output` is not used. The program is killed after `limit`, and `.timedOut` thrown. When the task is cancelled, the program is asked to
    /// end (SIGTERM), and what it left is returned.
    package static func run(
        _ command: Command, input: String = "", limit: Duration = .seconds(120)
    ) async throws(PostgresProcessError) -> CommandResult {
        let outFile = try ScratchFile(), errorFile = try ScratchFile(), inputFile = try ScratchFile(containing: input)
        var command = command
        command.output = .descriptors(out: outFile.descriptor, error: errorFile.descriptor)
        let process = try start(command, input: inputFile.descriptor)
        let overdue = Task {
            try await Task.sleep(for: limit)
            process.signal(SIGKILL)
            return true
        }
        let status = await withTaskCancellationHandler {
            await process.waitForExit()
        } onCancel: {
            process.signal(SIGTERM)
        }
        overdue.cancel()
        if (try? await overdue.value) == true {
            throw .timedOut(what: (command.program as NSString).lastPathComponent, after: limit)
        }
        return CommandResult(status: status, output: outFile.contents(), errors: errorFile.contents())
    }

    /// As `run`, and throws when the program reports a failure.
    @discardableResult
    package static func runChecked(
        _ command: Command, input: String = "", limit: Duration = .seconds(120)
    ) async throws(PostgresProcessError) -> CommandResult {
        let result = try await run(command, input: input, limit: limit)
        guard result.status == 0 else {
            throw .commandFailed(
                program: (command.program as NSString).lastPathComponent, status: result.status, message: result.lastLines)
        }
        return result
    }

    /// The absolute path of a program on PATH; nil when there is none.
    package static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }
}

/// A file without a name: a program's output of any size, without a pipe that somebody must drain in time.
private final class ScratchFile: Sendable {
    let descriptor: Int32

    init(containing text: String = "") throws(PostgresProcessError) {
        var raw: Int32 = -1
        let failure = cspawn_memory_file(&raw)
        guard failure == 0 else { throw .system(call: "memfd_create", errno: failure) }
        descriptor = Spawn.raise(raw)
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw .system(call: "write", errno: errno) }
            rest = rest.dropFirst(count)
        }
        lseek(descriptor, 0, SEEK_SET)
    }

    deinit { close(descriptor) }

    func contents() -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var offset = 0
        while true {
            let count = pread(descriptor, &chunk, chunk.count, off_t(offset))
            guard count > 0 else { break }
            bytes += chunk[..<count]
            offset += count
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
