internal import NIOCore

/// How a value is written: as text or in its type's binary form.
package enum WireFormat: Int16, Hashable, Sendable, Codable {
    case text = 0
    case binary = 1
}

/// The format codes in Bind: none means all text, one is for all values, otherwise one a value.
package struct FormatList: Hashable, Sendable {
    let bytes: ByteBuffer
    package let count: Int

    init(from body: inout ByteBuffer, kind: UInt8) throws(WireError) {
        let count = Int(try body.readChecked(UInt16.self, kind: kind))
        guard let bytes = body.readSlice(length: count * 2) else { throw WireError(.truncated, kind: kind) }
        self.bytes = bytes
        self.count = count
        for index in 0..<count {
            guard let code = bytes.getInteger(at: bytes.readerIndex + index * 2, as: Int16.self), code == 0 || code == 1 else {
                throw WireError(.unsupportedFormat, kind: kind)
            }
        }
    }

    /// Bytes that have been read this way before.
    init(checked bytes: ByteBuffer, count: Int) {
        self.bytes = bytes
        self.count = count
    }

    /// The format of the value at `index`.
    package subscript(index: Int) -> WireFormat {
        guard count > 0 else { return .text }
        let code = bytes.getInteger(at: bytes.readerIndex + (count == 1 ? 0 : index) * 2, as: Int16.self)
        return code == 1 ? .binary : .text
    }
}
