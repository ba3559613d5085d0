internal import ChangeCore
internal import LogicalReplication
internal import PGChannel
internal import PGWire
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer

/// Why an effect did not come about, as `JobOutcome` has it. The reasons hold names, never a row's value.
enum EffectFailure: Error, Hashable, Sendable {
    case busy(String)
    case unavailable(String)
    case impossible(String)

    var outcome: JobOutcome {
        switch self {
        case .busy(let reason): .busy(reason)
        case .unavailable(let reason): .unavailable(reason)
        case .impossible(let reason): .impossible(reason)
        }
    }

    /// - doing: what was done, and on which shard: "copying from shard a".
    init(_ error: any Error, doing: String) {
        switch error {
        case let failure as EffectFailure: self = failure
        case is CancellationError: self = .unavailable("\(doing) was interrupted")
        case let error as PGClientError: self = Self.server(error, "\(doing): ")
        case let error as TransferError: self = Self.transfer(error, "\(doing): ")
        case let error as ChangeError:
            let reason = "\(doing): \(error.message)" + (error.hint.map { ". \($0)" } ?? "")
            // A connection's fault, perhaps.
            if case .outOfOrder = error { self = .unavailable(reason) } else { self = .impossible(reason) }
        case let error as ReplicationError: self = .unavailable("\(doing): the stream of changes: \(error)")
        default: self = .unavailable("\(doing): \(type(of: error))")
        }
    }

    private static func transfer(_ error: TransferError, _ prefix: String) -> EffectFailure {
        switch error {
        case .source(let error): server(error, prefix + "the source: ")
        case .target(_, let error): server(error, prefix + "the target: ")
        case .program(let reason): isOfConnection(reason) ? .unavailable(prefix + reason) : .impossible(prefix + reason)
        // The way from here to a server that says what was not asked for, or its end.
        case .shape(let reason) where reason.contains("has ended the stream"): .unavailable(prefix + reason)
        case .shape, .nameForm, .rows, .diverged: .impossible(prefix + "\(error)")
        }
    }

    /// What PostgreSQL's own programs say when a server is away, or somebody is in their way for a while.
    private static func isOfConnection(_ reason: String) -> Bool {
        let signs = [
            "connection to server", "could not connect", "server closed the connection", "connection not open", "terminating connection", "lock timeout",
            "could not translate host name", "no connection to the server", "the database system is", "deadlock detected", "SSL SYSCALL", "could not receive data",
        ]
        return signs.contains { reason.contains($0) }
    }

    private static func server(_ error: PGClientError, _ prefix: String) -> EffectFailure {
        guard let reply = error.serverError else {
            if case .invalidCall = error.cause { return .impossible("\(prefix)\(error)") }
            if case .connect(let cause) = error.cause, !cause.isTransient { return .impossible("\(prefix)\(error)") }
            return .unavailable("\(prefix)\(error)")
        }
        let code = reply.sqlState.code
        let reason: String
        switch reply.sqlState.classCode {
        // Of rows: what the server says may hold their values.
        case "22", "23": reason = "\(prefix)the server refused a row (SQLSTATE \(code)\(reply[.constraint].map { ", constraint \($0)" } ?? ""))"
        default: reason = "\(prefix)\(reply.message) (SQLSTATE \(code))"
        }
        if code == "42501" { return .impossible(reason + ". Grant the shard's role the right, or let the job use a superuser") }
        switch reply.sqlState.classCode {
        case "08", "40", "53", "57", "58": return .unavailable(reason)
        case "55": return code == "55006" || code == "55P03" ? .unavailable(reason) : .impossible(reason)
        default: return .impossible(reason)
        }
    }
}
