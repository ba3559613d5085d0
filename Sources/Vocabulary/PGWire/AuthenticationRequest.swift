package import NIOCore

/// Authentication: what the server asks of the client, or that it is satisfied.
package enum AuthenticationRequest: Hashable, Sendable {
    case ok
    case cleartextPassword
    case md5Password(salt: [UInt8])
    case sasl(mechanisms: [String])
    case saslContinue([UInt8])
    case saslFinal([UInt8])
    /// Kerberos, GSSAPI, SSPI: a method that is not spoken here.
    case unsupported(code: Int32)

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.authentication
        var body = body
        let code = try body.readChecked(Int32.self, kind: kind)
        switch code {
        case 0: self = .ok
        case 3: self = .cleartextPassword
        case 5:
            guard let salt = body.readBytes(length: 4) else { throw WireError(.truncated, kind: kind) }
            self = .md5Password(salt: salt)
        case 10:
            var mechanisms: [String] = []
            while true {
                let mechanism = try body.readCString(kind: kind)
                guard !mechanism.isEmpty else { break }
                mechanisms.append(mechanism)
            }
            self = .sasl(mechanisms: mechanisms)
        case 11, 12:
            let data = body.readBytes(length: body.readableBytes) ?? []
            self = code == 11 ? .saslContinue(data) : .saslFinal(data)
        default:
            self = .unsupported(code: code)
            return
        }
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeAuthentication(_ request: AuthenticationRequest) {
        writeFrame(BackendKind.authentication) { buffer in
            switch request {
            case .ok: buffer.writeInteger(0 as Int32)
            case .cleartextPassword: buffer.writeInteger(3 as Int32)
            case .md5Password(let salt):
                buffer.writeInteger(5 as Int32)
                buffer.writeBytes(salt)
            case .sasl(let mechanisms):
                buffer.writeInteger(10 as Int32)
                for mechanism in mechanisms { buffer.writeCString(mechanism) }
                buffer.writeInteger(0 as UInt8)
            case .saslContinue(let data):
                buffer.writeInteger(11 as Int32)
                buffer.writeBytes(data)
            case .saslFinal(let data):
                buffer.writeInteger(12 as Int32)
                buffer.writeBytes(data)
            case .unsupported(let code): buffer.writeInteger(code)
            }
        }
    }
}
