import CSpawn
import Foundation

/// One call of posix_spawn. Descriptors given in `descriptors` become 0, 1, 2 ... of the child by their index; all others are closed.
enum Spawn {
    /// A pair of descriptors above the low numbers, so that placing one in the child never overwrites another.
    struct Pipe {
        var read: Int32
        var write: Int32

        init() throws(PostgresProcessError) {
            var ends: [Int32] = [-1, -1]
            let failure = cspawn_pipe(&ends)
            guard failure == 0 else { throw .system(call: "pipe2", errno: failure) }
            read = Spawn.raise(ends[0])
            write = Spawn.raise(ends[1])
        }
    }

    /// Moves a descriptor to 16 or above.
    static func raise(_ descriptor: Int32) -> Int32 {
        let high = fcntl(descriptor, F_DUPFD_CLOEXEC, 16)
        guard high >= 0 else { return descriptor }
        close(descriptor)
        return high
    }

    /// A second descriptor of the same file, at 16 or above; the first stays.
    static func raiseCopy(_ descriptor: Int32) -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 16) }

    /// Answers the pid of the program at `command[0]`, an absolute path.
    static func start(
        _ command: [String], environment: [String: String], workingDirectory: String?, descriptors: [Int32]
    ) throws(PostgresProcessError) -> pid_t {
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let result = cspawn_start(&pid, &argv, &envp, workingDirectory, descriptors, Int32(descriptors.count))
        guard result == 0 else { throw .system(call: "posix_spawn", errno: result) }
        return pid
    }
}
