package import NIOCore

/// NegotiateProtocolVersion: what of the startup packet the server does not know; the session goes on without it.
package struct NegotiateProtocolVersion: Hashable, Sendable {
    package let newestMinor: Int32
    package let unrecognizedOptions: [String]

    package init(newestMinor: Int32 = 0, unrecognizedOptions: [String]) {
        self.newestMinor = newestMinor
        self.unrecognizedOptions = unrecognizedOptions
    }

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.negotiateProtocolVersion
        var body = body
        newestMinor = try body.readChecked(kind: kind)
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
            buffer.writeMultipleIntegers(message.newestMinor, Int32(message.unrecognizedOptions.count))
            for option in message.unrecognizedOptions { buffer.writeCString(option) }
        }
    }
}
