public import NIOCore

/// ReadyForQuery: the server is done with what it was asked, and says where its transaction stands.
package struct ReadyForQuery: Hashable, Sendable {
    /// 'I' idle, 'T' in a transaction, 'E' in a failed one.
    package let status: UInt8

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.readyForQuery
        var body = body
        status = try body.readChecked(kind: kind)
        try body.requireEmpty(kind: kind)
        guard status == 0x49 || status == 0x54 || status == 0x45 else { throw WireError(.invalidValue, kind: kind) }
    }
}

extension ByteBuffer {
    /// `status` is 'I', 'T' or 'E'.
    @inlinable
    package mutating func writeReadyForQuery(status: UInt8) {
        writeMultipleIntegers(BackendKind.readyForQuery, 5 as Int32, status)
    }
}
