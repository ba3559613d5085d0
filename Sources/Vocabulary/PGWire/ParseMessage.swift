package import NIOCore

/// Parse: a statement to be prepared under a name (empty: the unnamed one). A view over the message's body, which makes each part when it is
/// asked for.
package struct ParseMessage: Hashable, Sendable {
    private let body: ByteBuffer
    // Indices of the body.
    private let tailStart: Int
    private let typesStart: Int

    package init(body: ByteBuffer) throws(WireError) {
        var rest = body
        try rest.skipCString(kind: FrontendKind.parse)
        tailStart = rest.readerIndex
        try rest.skipCString(kind: FrontendKind.parse)
        typesStart = rest.readerIndex
        _ = try ParameterTypeList(from: &rest, kind: FrontendKind.parse)
        try rest.requireEmpty(kind: FrontendKind.parse)
        self.body = body
    }

    package var name: ByteBuffer { slice(body.readerIndex, tailStart - 1) }
    /// The statement's bytes, without the terminator.
    package var query: ByteBuffer { slice(tailStart, typesStart - 1) }
    package var parameterTypes: ParameterTypeList {
        ParameterTypeList(checked: slice(typesStart + 2, body.writerIndex), count: (body.writerIndex - typesStart) / 4)
    }
    /// Everything behind the name: what a Parse under another name shares with this one.
    package var tail: ByteBuffer { slice(tailStart, body.writerIndex) }

    private func slice(_ start: Int, _ end: Int) -> ByteBuffer { body.getSlice(at: start, length: end - start) ?? ByteBuffer() }
}

/// Type oids in Parse (0: to be inferred) and in ParameterDescription.
package struct ParameterTypeList: Hashable, Sendable {
    let bytes: ByteBuffer
    package let count: Int

    init(from body: inout ByteBuffer, kind: UInt8) throws(WireError) {
        count = Int(try body.readChecked(UInt16.self, kind: kind))
        guard let bytes = body.readSlice(length: count * 4) else { throw WireError(.truncated, kind: kind) }
        self.bytes = bytes
    }

    /// Bytes that have been read this way before.
    init(checked bytes: ByteBuffer, count: Int) {
        self.bytes = bytes
        self.count = count
    }

    package subscript(index: Int) -> UInt32 {
        precondition(index >= 0 && index < count, "parameter index out of range")
        return bytes.getInteger(at: bytes.readerIndex + index * 4) ?? 0
    }

    package var array: [UInt32] { (0..<count).map { self[$0] } }
}

extension ByteBuffer {
    package mutating func writeParse(name: String, query: String, parameterTypes: [UInt32] = []) {
        writeFrame(FrontendKind.parse) { buffer in
            buffer.writeCString(name)
            buffer.writeCString(query)
            buffer.writeInteger(UInt16(parameterTypes.count))
            for type in parameterTypes { buffer.writeInteger(type) }
        }
    }

    package mutating func writeParse(name: String, query: ByteBuffer, parameterTypes: [UInt32] = []) {
        writeFrame(FrontendKind.parse) { buffer in
            buffer.writeCString(name)
            buffer.writeCString(slice: query)
            buffer.writeInteger(UInt16(parameterTypes.count))
            for type in parameterTypes { buffer.writeInteger(type) }
        }
    }

    /// The same statement and types under another name.
    package mutating func writeParse(rewriting message: ParseMessage, name: String) {
        writeFrame(FrontendKind.parse) { buffer in
            buffer.writeCString(name)
            buffer.writeImmutableBuffer(message.tail)
        }
    }
}
