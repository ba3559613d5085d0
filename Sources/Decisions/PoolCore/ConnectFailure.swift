/// Why a connection attempt did not give a backend; kept as the pool's last error and passed on to those it refuses.
package struct ConnectFailure: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Nobody listens, no route, the name does not resolve.
        case unreachable
        /// No answer within `connectTimeout`.
        case timedOut
        /// The server answered that it cannot take the connection now: starting up, too many connections.
        case busy
        /// The server will refuse every attempt until somebody changes something: password, role, database, TLS.
        case rejected
        /// The connection ended in the middle of the start.
        case lost
    }

    package let kind: Kind
    /// The server's SQLSTATE, where it sent one.
    package let sqlState: String?

    package init(_ kind: Kind, sqlState: String? = nil) {
        self.kind = kind
        self.sqlState = sqlState
    }

    /// The server took the packets, or nobody did, and nothing came back: each attempt costs all of its time.
    package var isSilence: Bool { kind == .timedOut }

    /// Trying again soon cannot help.
    package var isDefinitive: Bool { kind == .rejected }
}

/// Why a request got no backend. Nothing of it was executed: a retry is safe.
package enum PoolRefusal: Error, Hashable, Sendable {
    /// `PoolLimits.waitersMax` requests wait already.
    case queueFull
    /// None came free within `PoolLimits.waitTimeout`.
    case timedOut
    /// The pool is closing.
    case draining
    /// The shard cannot be reached; the last attempt's error.
    case unavailable(ConnectFailure)
}
