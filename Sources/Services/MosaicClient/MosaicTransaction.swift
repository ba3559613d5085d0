internal import PGChannel
internal import PGWire
internal import ShardModel
internal import Synchronization

/// A transaction on the shard of one key. Its statements run one after another; after the closure's end it takes none.
public final class MosaicTransaction: Sendable {
    /// How it runs.
    public struct Options: Sendable, Hashable {
        public enum Isolation: String, Sendable, Hashable {
            case readCommitted = "READ COMMITTED"
            case repeatableRead = "REPEATABLE READ"
            case serializable = "SERIALIZABLE"
        }
        /// nil: the shard's default.
        public var isolation: Isolation?
        public var isReadOnly = false

        public init(isolation: Isolation? = nil, isReadOnly: Bool = false) { (self.isolation, self.isReadOnly) = (isolation, isReadOnly) }

        var begin: String { "BEGIN" + (isolation.map { " ISOLATION LEVEL \($0.rawValue)" } ?? "") + (isReadOnly ? " READ ONLY" : "") }
    }

    /// The shard that it runs on; nil: a router's.
    public let shard: String?
    private let connection: PooledConnection
    private let timeout: Duration
    private let bytesMax: Int
    /// Throws where the statement is not the key's shard's to answer.
    private let admit: @Sendable (String, [MosaicParameter]) async throws -> Void

    private struct State {
        var isOver = false
        var error: MosaicError?
    }
    private let state = Mutex(State())

    init(
        _ connection: PooledConnection, shard: String?, timeout: Duration, bytesMax: Int,
        admit: @escaping @Sendable (String, [MosaicParameter]) async throws -> Void
    ) {
        (self.connection, self.shard, self.timeout, self.bytesMax, self.admit) = (connection, shard, timeout, bytesMax, admit)
    }

    /// Runs one statement. An error of PostgreSQL's ends the transaction: it can only be rolled back then.
    ///
    /// A statement that the key's shard cannot answer alone is refused before it is sent, and the transaction goes on.
    @discardableResult
    public func query(_ sql: String, _ parameters: [MosaicParameter] = []) async throws -> MosaicRows {
        try check()
        try await admit(sql, parameters)
        try check()
        do {
            return MosaicRows(try await connection.client.run(sql, parameters, timeout: timeout, bytesMax: bytesMax), shard: shard)
        } catch {
            let error = MosaicError.from(error)
            state.withLock { $0.error = $0.error ?? error }
            throw shard.map { error.of(shard: $0) } ?? error
        }
    }

    private func check() throws {
        let state = state.withLock { $0 }
        if state.isOver { throw MosaicError(.transactionOver, "the transaction's closure has returned") }
        if let error = state.error { throw MosaicError(.transactionOver, "a statement failed before: \(error.message)", sqlState: "25P02") }
    }

    // MARK: For the client

    func begin(_ options: Options) async throws {
        try await connection.client.execute(options.begin, timeout: .init(timeout))
    }

    /// Throws `commitUnknown` where no answer came.
    func commit() async throws {
        let failure = state.withLock { state in
            state.isOver = true
            return state.error
        }
        if let failure {
            throw MosaicError(.transactionOver, "the transaction was rolled back: a statement of it failed (\(failure.message))", sqlState: failure.sqlState ?? "25P02")
        }
        let (client, timeout) = (connection.client, timeout)
        // Not to be cancelled with the caller's task: whether it has committed would be unknown.
        let committing = Task { try await client.execute("COMMIT", timeout: .init(timeout)) }
        do {
            let results = try await committing.value
            guard results.last?.tag?.text == "COMMIT" else {
                throw MosaicError(.transactionOver, "the transaction was rolled back: a statement of it failed", sqlState: "25P02")
            }
        } catch {
            let error = MosaicError.from(error)
            guard error.execution == .unknown else { throw error }
            throw MosaicError(
                .commitUnknown, "COMMIT was sent, and its answer did not come: the transaction may be committed or not (\(error.message))",
                execution: .unknown, sqlState: "08007")
        }
    }

    func end() { state.withLock { $0.isOver = true } }
}

extension PGClient {
    /// One statement with the client's parameters.
    func run(_ sql: String, _ parameters: [MosaicParameter], timeout: Duration, bytesMax: Int) async throws -> PGResult {
        var options = QueryOptions(timeout: .init(timeout))
        options.bytesMax = bytesMax
        return try await query(sql, parameters.map(\.wire), options: options)
    }
}
