import Foundation

/// A program in a session of its own that outlives this process: the one exception to `SupervisedProcess`.
package struct DetachedProcess: Sendable {
    package let pid: Int32

    /// Starts `program` with its output appended to `log` and no input.
    package static func start(_ program: String, _ arguments: [String], log: String) throws(PostgresProcessError) -> DetachedProcess {
        guard access(program, X_OK) == 0 else { throw .programMissing(program) }
        let file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .folderUnusable(path: log, reason: "it cannot be written (errno \(errno))") }
        let output = Spawn.raise(file)
        let null = Spawn.raise(open("/dev/null", O_RDONLY | O_CLOEXEC))
        defer {
            close(output)
            close(null)
        }
        let pid = try Spawn.start(
            [program] + arguments, environment: ProcessInfo.processInfo.environment, workingDirectory: nil,
            descriptors: [null, output, output])
        return DetachedProcess(pid: pid)
    }

    /// The exit status once it has ended; nil while it runs. Works only in the process that started it, and once.
    package func exitStatus() -> Int32? {
        var raw: Int32 = 0
        guard waitpid(pid, &raw, WNOHANG) == pid else { return nil }
        return raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
    }
}
