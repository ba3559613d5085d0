/// Why a PostgreSQL server, or a process beside it, could not be started, stopped or prepared.
///
/// `description` is one line meant for a person: what failed, then what to do.
package enum PostgresProcessError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No `bin` folder with initdb, postgres and psql was found.
    case binariesMissing(looked: [String])
    /// A program that is needed is not installed, or may not be run.
    case programMissing(String)
    /// The process runs as root and there is no account that PostgreSQL could run under.
    case noUnprivilegedAccount
    /// Another process listens on the port.
    case portTaken(Int)
    /// The folder exists and is not what it should be.
    case folderUnusable(path: String, reason: String)
    /// Another server process runs in this data folder.
    case alreadyRunning(path: String, pid: Int32)
    /// A program ended with a failure; `message` is the last lines it printed.
    case commandFailed(program: String, status: Int32, message: String)
    /// The server ended before it was ready; `message` is the last lines of its log.
    case startFailed(path: String, message: String)
    /// The server did not become ready, or did not stop, in time.
    case timedOut(what: String, after: Duration)
    /// The operating system refused to make a process or a pipe.
    case system(call: String, errno: Int32)

    package var description: String {
        switch self {
        case .binariesMissing(let looked):
            "PostgreSQL's programs (initdb, postgres, psql) were not found in \(looked.joined(separator: ", ")); "
                + "install the Debian package postgresql, or put its bin folder on PATH"
        case .programMissing(let name):
            "the program \(name) was not found; install it or put it on PATH"
        case .noUnprivilegedAccount:
            "PostgreSQL does not run as root, and neither the account postgres nor nobody exists"
        case .portTaken(let port):
            "port \(port) is taken by another process; choose another port, or 0 for a free one"
        case .folderUnusable(let path, let reason):
            "the folder \(path) cannot be used: \(reason)"
        case .alreadyRunning(let path, let pid):
            "another PostgreSQL server (pid \(pid)) runs in \(path); stop it first"
        case .commandFailed(let program, let status, let message):
            "\(program) failed with status \(status): \(message)"
        case .startFailed(let path, let message):
            "PostgreSQL did not start in \(path): \(message)"
        case .timedOut(let what, let after):
            "\(what) took longer than \(after.components.seconds) s"
        case .system(let call, let code):
            "\(call) failed with errno \(code)"
        }
    }
}
