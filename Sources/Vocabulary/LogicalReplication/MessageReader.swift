internal import NIOCore

/// Takes the fields of one message off its bytes. Every length and count is checked against what is there before anything is reserved.
struct MessageReader {
    private var bytes: ByteBuffer
    let kind: UInt8

    /// Takes the kind byte.
    init(_ body: ByteBuffer) throws(ReplicationError) {
        bytes = body
        guard let kind = bytes.readInteger(as: UInt8.self) else { throw ReplicationError(.truncated, kind: 0) }
        self.kind = kind
    }

    func error(_ reason: ReplicationError.Reason) -> ReplicationError { ReplicationError(reason, kind: kind) }

    var remaining: Int { bytes.readableBytes }

    mutating func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) throws(ReplicationError) -> I {
        guard let value = bytes.readInteger(as: I.self) else { throw error(.truncated) }
        return value
    }

    mutating func lsn() throws(ReplicationError) -> LSN { LSN(try integer()) }

    /// A position that must be one: the server itself refuses these messages without.
    mutating func knownLSN() throws(ReplicationError) -> LSN {
        let position = try lsn()
        guard position != .none else { throw error(.invalidValue) }
        return position
    }

    mutating func time() throws(ReplicationError) -> ServerTime { ServerTime(microseconds: try integer()) }
    mutating func transactionID() throws(ReplicationError) -> TransactionID { TransactionID(try integer()) }
    mutating func relationID() throws(ReplicationError) -> RelationID { RelationID(try integer()) }

    /// Flags of which the protocol uses none.
    mutating func noFlags() throws(ReplicationError) {
        guard try integer(UInt8.self) == 0 else { throw error(.invalidValue) }
    }

    mutating func bool() throws(ReplicationError) -> Bool {
        switch try integer(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw error(.invalidValue)
        }
    }

    mutating func text() throws(ReplicationError) -> String {
        let view = bytes.readableBytesView
        guard let end = view.firstIndex(of: 0) else { throw error(.unterminatedString) }
        guard let slice = bytes.readSlice(length: end - view.startIndex), let text = String(validating: slice.readableBytesView, as: UTF8.self) else {
            throw error(.invalidEncoding)
        }
        bytes.moveReaderIndex(forwardBy: 1)
        return text
    }

    /// A slice of the message, not a copy.
    mutating func slice(length: Int) throws(ReplicationError) -> ByteBuffer {
        guard length >= 0 else { throw error(.invalidLength) }
        guard let slice = bytes.readSlice(length: length) else { throw error(.truncated) }
        return slice
    }

    /// What is left.
    mutating func rest() -> ByteBuffer {
        defer { bytes.moveReaderIndex(to: bytes.writerIndex) }
        return bytes.slice()
    }

    /// How many things follow, each of at least `sizeMin` bytes.
    mutating func count<I: FixedWidthInteger>(_ type: I.Type, sizeMin: Int) throws(ReplicationError) -> Int {
        let count = Int(try integer(type))
        guard count >= 0 else { throw error(.invalidCount) }
        guard count <= remaining / sizeMin else { throw error(.invalidCount) }
        return count
    }

    func end() throws(ReplicationError) {
        guard bytes.readableBytes == 0 else { throw error(.trailingBytes) }
    }
}
