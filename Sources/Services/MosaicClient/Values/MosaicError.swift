/// Why a call of the client failed, and whether its statement may have run.
///
/// Every call of `MosaicClient` throws this type and no other; what a transaction's own closure throws is passed on as it is.
public struct MosaicError: Error, Sendable, Hashable {
    /// What a program decides by. New ones may be added.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// The configuration makes no sense; the message says which part.
        case configuration
        /// No catalog was ever read: neither manager nor store answers, and there is no saved copy.
        case catalogUnavailable = "catalog_unavailable"
        /// The shard refuses the epoch of the catalog that this client has, and no newer one came in time.
        case staleCatalog = "stale_catalog"
        /// The catalog does not have the database, or it has no shards yet.
        case unknownDatabase = "unknown_database"
        /// The key has no canonical form: an integer beyond 64 bits.
        case invalidKey = "invalid_key"
        /// The statement names rows of another key than the one it was sent for.
        case keyMismatch = "key_mismatch"
        /// The statement cannot be answered by the key's shard alone: it goes through a router. The message has the reason, `refusal` its code.
        case needsRouter = "needs_router"
        /// PostgreSQL's parser does not take the statement.
        case syntax
        /// The configuration names no router.
        case noRouter = "no_router"
        /// No connection with the server came about.
        case serverUnavailable = "server_unavailable"
        /// The server at the address of a shard is another one, or its primary is no primary.
        case wrongServer = "wrong_server"
        /// As many calls wait for the server as may.
        case poolFull = "pool_full"
        /// No connection became free, or no answer came, in time.
        case timedOut = "timed_out"
        /// The task was cancelled.
        case cancelled
        /// The connection ended while the statement was under way.
        case connectionLost = "connection_lost"
        /// The server answered with an error: `sqlState` and `server` have it.
        case server
        /// The transaction is over: by an error of one of its statements, or because its closure has returned.
        case transactionOver = "transaction_over"
        /// COMMIT was sent and no answer came: the transaction may be committed or not.
        case commitUnknown = "commit_unknown"
        /// The answer is larger than `resultBytesMax`.
        case resultTooLarge = "result_too_large"
        /// A column of a row is missing, NULL, or not of the type that was asked for.
        case decoding
        /// The client was shut down.
        case shutDown = "shut_down"
    }

    /// What became of the statement.
    public enum Execution: String, Sendable, Hashable {
        /// Nothing of it took effect: it may be sent again.
        case didNotRun = "did_not_run"
        /// It may have run, or may still be running.
        case unknown
        /// It ran; only its answer did not arrive.
        case ran
    }

    /// PostgreSQL's own words.
    public struct Server: Sendable, Hashable {
        public var message: String
        public var detail: String?
        public var hint: String?
        public var schema: String?
        public var table: String?
        public var column: String?
        public var constraint: String?
    }

    public var code: Code
    /// For people. Holds neither passwords nor parameters.
    public var message: String
    public var execution: Execution
    /// Five characters, where SQL is involved.
    public var sqlState: String?
    /// The shard it is about.
    public var shard: String?
    /// The code of docs/reference/refusals.md (`PGM-…`), with `needsRouter`.
    public var refusal: String?
    public var server: Server?

    init(_ code: Code, _ message: String, execution: Execution = .didNotRun, sqlState: String? = nil, shard: String? = nil) {
        (self.code, self.message, self.execution, self.sqlState, self.shard) = (code, message, execution, sqlState, shard)
    }

    /// Nothing ran, and the same call may succeed later without anybody changing it.
    public var isSafeToRetry: Bool {
        guard execution == .didNotRun else { return false }
        switch code {
        case .catalogUnavailable, .staleCatalog, .serverUnavailable, .poolFull, .timedOut: return true
        // Serialization failure, deadlock, lock not available.
        case .server: return ["40001", "40P01", "55P03"].contains(sqlState)
        default: return false
        }
    }

    func of(shard: String) -> MosaicError {
        var copy = self
        copy.shard = shard
        return copy
    }
}

extension MosaicError: CustomStringConvertible {
    public var description: String {
        let place = shard.map { " (shard \($0))" } ?? ""
        let state = sqlState.map { " [\($0)]" } ?? ""
        return "\(code.rawValue)\(state)\(place): \(message)"
    }
}
