package import NIOCore

/// PasswordMessage: a password as text, or its md5 answer.
package struct PasswordMessage: Hashable, Sendable {
    package let password: ByteBuffer

    package init(body: ByteBuffer) throws(WireError) {
        var body = body
        password = try body.readCStringSlice(kind: FrontendKind.password)
        try body.requireEmpty(kind: FrontendKind.password)
    }
}

/// SASLInitialResponse: the mechanism chosen, and the first message of its exchange.
package struct SASLInitialResponse: Hashable, Sendable {
    package let mechanism: String
    /// nil where the client sends none.
    package let data: ByteBuffer?

    package init(body: ByteBuffer) throws(WireError) {
        let kind = FrontendKind.password
        var body = body
        mechanism = try body.readCString(kind: kind)
        let length = try body.readChecked(Int32.self, kind: kind)
        guard length >= -1 else { throw WireError(.invalidLength, kind: kind) }
        if length == -1 {
            data = nil
        } else {
            guard let data = body.readSlice(length: Int(length)) else { throw WireError(.truncated, kind: kind) }
            self.data = data
        }
        try body.requireEmpty(kind: kind)
    }
}

/// SASLResponse: the next message of the exchange. Its whole body is the mechanism's.
package struct SASLResponse: Hashable, Sendable {
    package let data: ByteBuffer

    package init(body: ByteBuffer) { data = body }
}

extension ByteBuffer {
    package mutating func writePassword(_ password: String) {
        writeFrame(FrontendKind.password) { $0.writeCString(password) }
    }

    package mutating func writeSASLInitialResponse(mechanism: String, data: [UInt8]?) {
        writeFrame(FrontendKind.password) { buffer in
            buffer.writeCString(mechanism)
            buffer.writeInteger(Int32(data?.count ?? -1))
            if let data { buffer.writeBytes(data) }
        }
    }

    package mutating func writeSASLResponse(_ data: [UInt8]) {
        writeFrame(FrontendKind.password) { $0.writeBytes(data) }
    }
}
