internal import Listening
internal import NIOCore
internal import PGChannel
internal import ServerConfig
internal import Synchronization

/// Who is let in, and how they prove who they are. Each loop has a copy, which a reload replaces: connections that are open stay as they are.
struct Admission: Sendable {
    /// nil: TLS is not offered.
    let tls: ServerTLS?
    let requiresTLS: Bool
    let authenticates: Bool
    let clientAuth: RouterSettings.TLSClientAuth
    let consoleUsers: Set<String>

    /// Throws a `ServerTLSError` for files that cannot be used.
    init(_ settings: RouterSettings) throws(ServerTLSError) {
        if settings.tlsMode != .disable, let certificate = settings.tlsCertificateFile, let key = settings.tlsKeyFile {
            tls = try ServerTLS(
                certificateFile: certificate, keyFile: key,
                clientAuthoritiesFile: settings.tlsClientAuth == .password ? nil : settings.tlsClientCAFile)
        } else {
            tls = nil
        }
        requiresTLS = settings.tlsMode == .require
        authenticates = settings.wireAuth == .scram
        clientAuth = settings.tlsClientAuth
        consoleUsers = Set(settings.consoleUsers)
    }
}

/// Connections of one loop that have not proved who they are, oldest first. There is a bound, and who is slow makes room for who comes: a storm of
/// them cannot keep out a client that knows its password.
struct PendingLogins {
    private var channels: [UInt64: any Channel] = [:]
    private var next: UInt64 = 0
    private var oldest: UInt64 = 0

    var count: Int { channels.count }

    mutating func add(_ channel: any Channel) -> UInt64 {
        next += 1
        channels[next] = channel
        return next
    }

    /// The oldest where there are more than `max`: to be closed, which removes nothing here any more.
    mutating func takeExcess(max: Int) -> (any Channel)? { channels.count > max ? takeOldest() : nil }

    mutating func remove(_ id: UInt64) { channels[id] = nil }

    private mutating func takeOldest() -> (any Channel)? {
        while oldest < next {
            oldest += 1
            if let channel = channels.removeValue(forKey: oldest) { return channel }
        }
        return nil
    }
}

/// How many clients the router takes, over all loops.
final class ClientBudget: Sendable {
    struct Limits: Sendable {
        var total: Int
        /// Zero: no limit.
        var ofUser: Int
        /// Zero: no limit.
        var ofDatabase: Int
    }
    enum Refusal: Error { case total, user, database }

    private struct State {
        var limits: Limits
        var total = 0
        var users: [String: Int] = [:]
        var databases: [String: Int] = [:]
    }
    private let state: Mutex<State>

    init(_ limits: Limits) { state = Mutex(State(limits: limits)) }

    func change(_ limits: Limits) { state.withLock { $0.limits = limits } }

    func admit(user: String, database: String) -> Result<ClientPermit, Refusal> {
        let refusal = state.withLock { state -> Refusal? in
            let limits = state.limits
            guard state.total < limits.total else { return .total }
            guard limits.ofDatabase == 0 || state.databases[database, default: 0] < limits.ofDatabase else { return .database }
            guard limits.ofUser == 0 || state.users[user, default: 0] < limits.ofUser else { return .user }
            state.total += 1
            state.users[user, default: 0] += 1
            state.databases[database, default: 0] += 1
            return nil
        }
        return refusal.map { .failure($0) } ?? .success(ClientPermit(self, user: user, database: database))
    }

    fileprivate func release(user: String, database: String) {
        state.withLock { state in
            state.total -= 1
            Self.decrement(&state.users, user)
            Self.decrement(&state.databases, database)
        }
    }

    /// Nothing is kept of who is not there.
    private static func decrement(_ counts: inout [String: Int], _ name: String) {
        guard let count = counts[name] else { return }
        counts[name] = count == 1 ? nil : count - 1
    }
}

/// A client's place; given back when the last reference goes.
final class ClientPermit: Sendable {
    private let budget: ClientBudget
    private let user: String
    private let database: String

    fileprivate init(_ budget: ClientBudget, user: String, database: String) {
        self.budget = budget
        self.user = user
        self.database = database
    }

    deinit { budget.release(user: user, database: database) }
}

extension ClientBudget.Limits {
    init(_ settings: RouterSettings) {
        self.init(total: settings.clientsMax, ofUser: settings.clientsPerUserMax, ofDatabase: settings.clientsPerDatabaseMax)
    }
}
