internal import ControlAPI
internal import NIOCore
internal import PGWire

/// What is said to a session for the sake of one request: which messages to send, and what the answers mean. A value: it touches no socket.
protocol SessionExchange {
    /// What to send first.
    mutating func open() -> ByteBuffer
    mutating func received(_ kind: UInt8, _ body: ByteBuffer) throws(WireError) -> ExchangeAction
    /// A row of `size` bytes is about to arrive: what to do instead of waiting for it, where its size alone says that no answer can hold it,
    /// or nobody wants it any more.
    mutating func passOver(rowOf size: Int) -> ExchangeAction?
    /// Nothing further is to be begun: the time is over, or nobody wants the answer.
    mutating func stop()
    /// The rows of a stream so far, where there is one and it has rows.
    var rows: RowEncoder? { get }
    /// The lines of a stream that have not been taken yet.
    mutating func takeLines() -> [UInt8]

    /// One for each statement.
    var results: [AnswerBody] { get }
    /// The shard that answered; nil when several took part, or none.
    var shard: String? { get }
    var failure: APIError? { get }
    /// The first error of the session itself.
    var sqlState: SQLState? { get }
    /// From now on a lost session may have committed.
    var mayHaveCommitted: Bool { get }
}

extension SessionExchange {
    /// One statement is begun at once.
    mutating func stop() {}
    var rows: RowEncoder? { nil }
    mutating func takeLines() -> [UInt8] { [] }
}

enum ExchangeAction: Equatable {
    case wait
    case send(ByteBuffer)
    /// The outcome is settled; what is still being done is in vain.
    case cancel
    /// The session is idle again.
    case finished
    /// The session cannot be used any further.
    case hopeless
}

/// ReadyForQuery's byte.
enum TransactionStatus {
    static let idle = UInt8(ascii: "I")
    static let open = UInt8(ascii: "T")
}
