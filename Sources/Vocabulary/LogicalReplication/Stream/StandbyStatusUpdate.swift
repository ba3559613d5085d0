package import NIOCore

/// How far a receiver has come: the content of a CopyData message to the server.
package struct StandbyStatusUpdate: Hashable, Sendable {
    package static let kind = UInt8(ascii: "r")

    package var written: LSN
    /// What the slot may forget: nothing before it is ever asked for again. Only what is durable on every target belongs here.
    package var flushed: LSN
    package var applied: LSN
    package var sentAt: ServerTime
    /// Asks the server for a keepalive at once.
    package var isReplyRequested: Bool

    package init(written: LSN, flushed: LSN, applied: LSN, sentAt: ServerTime, isReplyRequested: Bool = false) {
        self.written = written
        self.flushed = flushed
        self.applied = applied
        self.sentAt = sentAt
        self.isReplyRequested = isReplyRequested
    }

    package init(_ body: ByteBuffer) throws(ReplicationError) {
        var reader = try MessageReader(body)
        guard reader.kind == Self.kind else { throw reader.error(.unknownMessage) }
        written = try reader.lsn()
        flushed = try reader.lsn()
        applied = try reader.lsn()
        sentAt = try reader.time()
        isReplyRequested = try reader.bool()
        try reader.end()
    }
}

extension ByteBuffer {
    /// The content of the CopyData message.
    package mutating func writeStandbyStatusUpdate(_ update: StandbyStatusUpdate) {
        writeMultipleIntegers(
            StandbyStatusUpdate.kind, update.written.value, update.flushed.value, update.applied.value, update.sentAt.microseconds,
            (update.isReplyRequested ? 1 : 0) as UInt8)
    }
}
