package import NIOCore

/// NegotiateProtocolVersion: what of the startup packet the server does not know; the session goes on without it.
package struct NegotiateProtocolVersion: Hashable, Sendable {
    /// The newest minor version of protocol 3 that the server speaks.
    package let minorVersion: Int
    package let unrecognizedOptions: [String]

    package init(minorVersion: Int = 0, unrecognizedOptions: [String]) {
        self.minorVersion = minorVersion
        self.unrecognizedOptions = unrecognizedOptions
    }

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.negotiateProtocolVersion
        var body = body
        minorVersion = Int(UInt32(bitPattern: try body.readChecked(Int32.self, kind: kind)) & 0xFFFF)
        let count = Int(try body.readChecked(Int32.self, kind: kind))
        // Each takes at least its terminator.
        guard count >= 0, count <= body.readableBytes else { throw WireError(.invalidCount, kind: kind) }
        var options: [String] = []
        for _ in 0..<count { options.append(try body.readCStringRepairing(kind: kind)) }
        unrecognizedOptions = options
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeNegotiateProtocolVersion(_ message: NegotiateProtocolVersion) {
        writeFrame(BackendKind.negotiateProtocolVersion) { buffer in
            // The documentation speaks of the minor version; servers send the whole one, and libpq 18 takes anything below 3.0 for an error.
            buffer.writeMultipleIntegers(Int32(3 << 16 | message.minorVersion), Int32(message.unrecognizedOptions.count))
            for option in message.unrecognizedOptions { buffer.writeCString(option) }
        }
    }
}
