import ArgumentParser
import CatalogStore
import Foundation
import Logging
import NIOCore
import ServerConfig
import ServiceLifecycle
import Telemetry

/// What both servers do around their work: the log, limits of the process, and one clear line when it does not work.
enum ServerStart {
    /// Makes the process's log, and lifts what a server needs lifted.
    static func bootstrapLog(levels: LogLevels, format: LogFormat, label: String) -> Logger {
        // A client that goes away is an error of its socket, not a signal to the process.
        signal(SIGPIPE, SIG_IGN)
        // A file that reaches the limit of its size (ulimit -f) is an error of its writing, too.
        signal(SIGXFSZ, SIG_IGN)
        raiseOpenFilesLimit()
        leaveNoCore()
        let form: MosaicLogHandler.Format =
            switch format {
            case .auto: MosaicLogHandler.formatForStandardError
            case .json: .json
            case .text: .text
            }
        MosaicLogHandler.bootstrap(levels: levels, format: form)
        return Logger(label: "pgmosaic.\(label)")
    }

    /// A connection is a file: the soft limit (1,024 on most systems) would be the number of clients.
    private static func raiseOpenFilesLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// The memory of a server holds keys, passwords and rows: a crash must not write it to a disk. Handlers that are given it by a pipe (systemd-coredump) see
    /// the limit and keep nothing either.
    private static func leaveNoCore() {
        var limit = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }

    /// A failure is the last line on standard error, after all of the log, and the exit status tells its kind.
    static func reportingErrors(of role: ServerRole, _ body: () async throws -> Void) async throws {
        do {
            try await body()
            LogSink.standardError.flush()
        } catch {
            LogSink.standardError.flush()
            Console.complain("pgmosaic \(role.rawValue): \(describe(error))")
            throw error is ConfigError ? ExitStatus.configuration : ExitStatus.failed
        }
    }

    /// Turns the system's "address in use" into the setting to change. `ports`: what the server listens on.
    static func naming(_ ports: [(setting: String, port: Int)], _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            let names = ports.filter { $0.port != 0 }.map { "\($0.setting) \($0.port)" }.joined(separator: " or ")
            throw StartError("a port is taken by another process (\(names)); choose another, or 0 for a free one")
        } catch let error as IOError where error.errnoCode == EADDRNOTAVAIL {
            throw StartError("the address to listen on is not one of this machine (wire.host, http.host)")
        } catch let error as IOError where error.errnoCode == EACCES {
            throw StartError("a port below 1024 needs privileges; choose another")
        }
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case let error as CatalogError: describe(error)
        default: Redaction.clean("\(error)")
        }
    }

    private static func describe(_ error: CatalogError) -> String {
        switch error {
        case .conflict(_, let detail), .invalid(let detail): "the catalog cannot be used: \(detail)"
        case .unavailable(let detail), .unknownOutcome(let detail), .fenced(let detail): "the catalog store cannot be used: \(detail)"
        case .foreign(let detail): "the catalog is not one of this version of PGMosaic: \(detail)"
        }
    }
}

/// Why a server did not start, in one line.
struct StartError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
