package import NIOCore

/// Query: the simple protocol, one or more statements as text.
package struct QueryMessage: Hashable, Sendable {
    /// The statements' bytes, without the terminator.
    package let query: ByteBuffer

    package init(body: ByteBuffer) throws(WireError) {
        var body = body
        query = try body.readCStringSlice(kind: FrontendKind.query)
        try body.requireEmpty(kind: FrontendKind.query)
    }
}

extension ByteBuffer {
    package mutating func writeQuery(_ query: String) {
        writeFrame(FrontendKind.query) { $0.writeCString(query) }
    }

    /// `query` must hold no zero byte.
    package mutating func writeQuery(_ query: ByteBuffer) {
        writeFrame(FrontendKind.query) { $0.writeCString(slice: query) }
    }
}
