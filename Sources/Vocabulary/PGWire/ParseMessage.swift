package import NIOCore

/// Parse: a statement to be prepared under a name (empty: the unnamed one). A view over the message's body.
package struct ParseMessage: Hashable, Sendable {
    package let name: ByteBuffer
    /// The statement's bytes, without the terminator.
    package let query: ByteBuffer
    package let parameterTypes: ParameterTypeList
    /// Everything behind the name: what a Parse under another name shares with this one.
    package let tail: ByteBuffer

    package init(body: ByteBuffer) throws(WireError) {
        var body = body
        name = try body.readCStringSlice(kind: FrontendKind.parse)
        tail = body
        query = try body.readCStringSlice(kind: FrontendKind.parse)
        parameterTypes = try ParameterTypeList(from: &body, kind: FrontendKind.parse)
        try body.requireEmpty(kind: FrontendKind.parse)
    }
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
