package import NIOCore

/// Bytes of pgoutput to messages.
///
/// It remembers one thing: whether it stands in a block of a streamed transaction, where each message names its transaction. So there is one decoder
/// for each connection, and every message goes through it, in order. Cost: one array a tuple; values are slices of the message.
package struct PGOutputDecoder: Sendable {
    package let version: PGOutputVersion
    /// Between Stream Start and Stream Stop.
    package private(set) var isInStream = false

    package init(version: PGOutputVersion) { self.version = version }

    /// Decodes one message, the payload of one `XLogData`. When it throws, the decoder stands where it stood.
    package mutating func decode(_ payload: ByteBuffer) throws(ReplicationError) -> PGOutputMessage {
        var reader = try MessageReader(payload)
        try check(reader)
        let message = try decode(&reader)
        try reader.end()
        switch message {
        case .streamStart: isInStream = true
        case .streamStop: isInStream = false
        default: break
        }
        return message
    }

    /// Whether a message of this kind may come, in this version and in this place.
    private func check(_ reader: MessageReader) throws(ReplicationError) {
        let place: (since: PGOutputVersion, inStream: Bool, outside: Bool)
        switch Character(Unicode.Scalar(reader.kind)) {
        case "R", "Y", "I", "U", "D", "T", "M", "O": place = (.one, true, true)
        case "B", "C": place = (.one, false, true)
        case "S", "c", "A": place = (.two, false, true)
        case "E": place = (.two, true, false)
        case "b", "P", "K", "r", "p": place = (.three, false, true)
        default: throw reader.error(.unknownMessage)
        }
        guard version >= place.since, isInStream ? place.inStream : place.outside else { throw reader.error(.unexpectedMessage) }
    }

    private func decode(_ reader: inout MessageReader) throws(ReplicationError) -> PGOutputMessage {
        switch Character(Unicode.Scalar(reader.kind)) {
        case "B": return .begin(try reader.begin())
        case "C": return .commit(try reader.commit())
        case "O": return .origin(position: try reader.lsn(), name: try reader.text())
        case "R", "Y", "I", "U", "D", "T", "M":
            let xid = isInStream ? try reader.transactionID() : nil
            return try decodeChange(&reader, xid)
        case "S": return .streamStart(StreamStart(xid: try reader.transactionID(), isFirst: try reader.bool()))
        case "E": return .streamStop
        case "c":
            let xid = try reader.transactionID()
            return .streamCommit(try reader.commit(), xid: xid)
        case "A": return .streamAbort(xid: try reader.transactionID(), subtransaction: try reader.transactionID())
        case "b":
            return .beginPrepare(
                PrepareBegin(
                    prepareLSN: try reader.knownLSN(), endLSN: try reader.knownLSN(), preparedAt: try reader.time(), xid: try reader.transactionID(),
                    gid: try reader.text()))
        case "P": return .prepare(try reader.prepare())
        case "p": return .streamPrepare(try reader.prepare())
        case "K": return .commitPrepared(try reader.commitPrepared())
        case "r": return .rollbackPrepared(try reader.rollbackPrepared())
        default: throw reader.error(.unknownMessage)
        }
    }

    private func decodeChange(_ reader: inout MessageReader, _ xid: TransactionID?) throws(ReplicationError) -> PGOutputMessage {
        switch Character(Unicode.Scalar(reader.kind)) {
        case "R": return .relation(try reader.relation(), xid: xid)
        case "Y": return .type(DataType(oid: try reader.integer(), schema: try reader.schema(), name: try reader.text()), xid: xid)
        case "I": return .insert(try reader.insert(), xid: xid)
        case "U": return .update(try reader.update(), xid: xid)
        case "D": return .delete(try reader.delete(), xid: xid)
        case "T": return .truncate(try reader.truncate(), xid: xid)
        default: return .message(try reader.logicalMessage(), xid: xid)
        }
    }
}
