package import NIOCore

/// What a CopyData message of the server holds in streaming replication.
package enum ReplicationMessage: Hashable, Sendable {
    case data(XLogData)
    case keepalive(PrimaryKeepalive)

    /// Reads the content of one CopyData message.
    package init(_ body: ByteBuffer) throws(ReplicationError) {
        var reader = try MessageReader(body)
        switch reader.kind {
        case UInt8(ascii: "w"):
            self = .data(XLogData(start: try reader.lsn(), end: try reader.lsn(), sentAt: try reader.time(), payload: reader.rest()))
        case UInt8(ascii: "k"):
            self = .keepalive(PrimaryKeepalive(end: try reader.lsn(), sentAt: try reader.time(), isReplyRequested: try reader.bool()))
        default: throw reader.error(.unknownMessage)
        }
        try reader.end()
    }
}

/// A piece of the stream; with pgoutput, one message.
package struct XLogData: Hashable, Sendable {
    /// Where the change stands in the log; `LSN.none` for messages that stand nowhere (Relation, Type).
    package var start: LSN
    /// The end of the log on the server. In logical replication the server sends `start` once more.
    package var end: LSN
    package var sentAt: ServerTime
    package var payload: ByteBuffer

    package init(start: LSN, end: LSN, sentAt: ServerTime, payload: ByteBuffer) {
        self.start = start
        self.end = end
        self.sentAt = sentAt
        self.payload = payload
    }
}

/// The server is there, and has decoded the log up to a place.
package struct PrimaryKeepalive: Hashable, Sendable {
    /// Every transaction that committed before it has been sent.
    package var end: LSN
    package var sentAt: ServerTime
    /// A status update must follow at once, or the server ends the connection (wal_sender_timeout).
    package var isReplyRequested: Bool

    package init(end: LSN, sentAt: ServerTime, isReplyRequested: Bool) {
        self.end = end
        self.sentAt = sentAt
        self.isReplyRequested = isReplyRequested
    }
}

extension ByteBuffer {
    /// What a server would send: for servers that tests script.
    package mutating func writeReplicationMessage(_ message: ReplicationMessage) {
        switch message {
        case .data(let data):
            writeMultipleIntegers(UInt8(ascii: "w"), data.start.value, data.end.value, data.sentAt.microseconds)
            writeImmutableBuffer(data.payload)
        case .keepalive(let keepalive):
            writeMultipleIntegers(
                UInt8(ascii: "k"), keepalive.end.value, keepalive.sentAt.microseconds, (keepalive.isReplyRequested ? 1 : 0) as UInt8)
        }
    }
}
