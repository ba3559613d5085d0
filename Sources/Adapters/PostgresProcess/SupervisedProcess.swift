import Foundation
import Synchronization

/// A running program that does not outlive this process, however this process ends.
///
/// Not for thousands: each has a shell beside it (`Supervisor`) and a thread here that waits for it.
package final class SupervisedProcess: Sendable {
    /// What to run, and how.
    package struct Command: Sendable {
        package var program: String
        package var arguments: [String]
        package var environment: [String: String]
        package var workingDirectory: String?
        /// Change to this account first; only root can.
        package var account: UnprivilegedAccount?
        package var output: Output
        /// The signal that asks the program to stop when this process is gone; a name without SIG.
        package var orphanSignal: String
        /// How long the program may take after that signal before it is killed.
        package var orphanGrace: Duration

        package init(
            _ program: String, _ arguments: [String] = [],
            environment: [String: String] = ProcessInfo.processInfo.environment,
            workingDirectory: String? = nil, account: UnprivilegedAccount? = nil, output: Output = .discard,
            orphanSignal: String = "TERM", orphanGrace: Duration = .seconds(10)
        ) {
            self.program = program
            self.arguments = arguments
            self.environment = environment
            self.workingDirectory = workingDirectory
            self.account = account
            self.output = output
            self.orphanSignal = orphanSignal
            self.orphanGrace = orphanGrace
        }
    }

    /// Where standard output and standard error go.
    package enum Output: Sendable {
        case discard
        case inherit
        /// Appended; made with mode 0600.
        case file(String)
        /// Two descriptors of ours, which stay open here.
        case descriptors(out: Int32, error: Int32)
    }

    /// The program's own pid, not the supervisor's.
    package let pid: Int32
    private let ending: Mutex<Ending>

    private enum Ending {
        case running(waiters: [CheckedContinuation<Int32, Never>])
        case ended(status: Int32)
    }

    /// Starts the program and returns once its pid is known; says nothing about its readiness.
    ///
    /// - Parameter input: a descriptor for standard input, which stays open here; nil for an empty one.
    package static func start(_ command: Command, input: Int32? = nil) throws(PostgresProcessError) -> SupervisedProcess {
        guard access(command.program, X_OK) == 0 else { throw .programMissing(command.program) }
        let words = (command.account?.commandPrefix ?? []) + [command.program] + command.arguments
        let line = Supervisor.commandLine(signal: command.orphanSignal, grace: command.orphanGrace, command: words)
        let lifetime = try Spawn.Pipe()
        let pidPipe = try Spawn.Pipe()
        let null = Spawn.raise(open("/dev/null", O_RDWR | O_CLOEXEC))
        var logFile: Int32?
        defer {
            for descriptor in [lifetime.read, pidPipe.read, pidPipe.write, null, logFile].compactMap({ $0 }) { close(descriptor) }
        }
        let out: Int32
        let error: Int32
        switch command.output {
        case .discard: (out, error) = (null, null)
        case .inherit: (out, error) = (1, 2)
        case .descriptors(let first, let second): (out, error) = (Spawn.raiseCopy(first), Spawn.raiseCopy(second))
        case .file(let path):
            let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            guard file >= 0 else {
                close(lifetime.write)
                throw .folderUnusable(path: path, reason: "it cannot be written (errno \(errno))")
            }
            logFile = Spawn.raise(file)
            (out, error) = (logFile ?? file, logFile ?? file)
        }
        defer { if case .descriptors = command.output { close(out); close(error) } }
        let supervisor: pid_t
        do {
            supervisor = try Spawn.start(
                line, environment: command.environment, workingDirectory: command.workingDirectory,
                descriptors: [input ?? null, out, error, lifetime.read, pidPipe.write])
        } catch {
            close(lifetime.write)
            throw error
        }
        let process = SupervisedProcess(pid: readPID(from: pidPipe, supervisor: supervisor))
        process.watch(supervisor, lifetime: lifetime.write)
        return process
    }

    private init(pid: Int32) {
        self.pid = pid
        self.ending = Mutex(.running(waiters: []))
    }

    /// The shell's exit status once the program has ended (128 + n after signal n); nil while it runs.
    package var exitStatus: Int32? {
        ending.withLock { state in
            if case .ended(let status) = state { status } else { nil }
        }
    }

    /// Sends a signal; does nothing once the program has ended.
    package func signal(_ number: Int32) {
        ending.withLock { state in
            if case .running = state { _ = kill(pid, number) }
        }
    }

    /// Returns when the program has ended.
    @discardableResult
    package func waitForExit() async -> Int32 {
        await withCheckedContinuation { continuation in
            let status: Int32? = ending.withLock { state in
                switch state {
                case .ended(let status): return status
                case .running(let waiters):
                    state = .running(waiters: waiters + [continuation])
                    return nil
                }
            }
            if let status { continuation.resume(returning: status) }
        }
    }

    /// Asks the program to end, and kills it when it has not after `grace`.
    @discardableResult
    package func terminate(_ number: Int32 = SIGTERM, grace: Duration = .seconds(10)) async -> Int32 {
        signal(SIGCONT)
        signal(number)
        let killer = Task {
            try await Task.sleep(for: grace)
            signal(SIGKILL)
        }
        let status = await waitForExit()
        killer.cancel()
        return status
    }

    /// The pid that the supervisor reports; the supervisor's own when it could not start the program.
    private static func readPID(from pipe: Spawn.Pipe, supervisor: pid_t) -> Int32 {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while bytes.count < 16 {
            let count = read(pipe.read, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 || byte == UInt8(ascii: "\n") { break }
            bytes.append(byte)
        }
        return Int32(String(decoding: bytes, as: UTF8.self)) ?? supervisor
    }

    /// Waits for the supervisor on a thread of its own: waitpid blocks, and the shared executors must not.
    private func watch(_ supervisor: pid_t, lifetime: Int32) {
        let thread = Thread { [self] in
            var raw: Int32 = 0
            while waitpid(supervisor, &raw, 0) < 0 && errno == EINTR {}
            close(lifetime)
            let status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
            let waiters = ending.withLock { state -> [CheckedContinuation<Int32, Never>] in
                guard case .running(let waiters) = state else { return [] }
                state = .ended(status: status)
                return waiters
            }
            for waiter in waiters { waiter.resume(returning: status) }
        }
        thread.stackSize = 128 << 10
        thread.name = "wait \(pid)"
        thread.start()
    }
}
