package import NIOCore

/// What Describe and Close name: a prepared statement or a portal.
package struct TargetMessage: Hashable, Sendable {
    package enum Target: UInt8, Hashable, Sendable {
        case statement = 0x53  // 'S'
        case portal = 0x50  // 'P'
    }

    package let target: Target
    package let name: ByteBuffer

    init(body: ByteBuffer, kind: UInt8) throws(WireError) {
        var body = body
        guard let target = Target(rawValue: try body.readChecked(UInt8.self, kind: kind)) else {
            throw WireError(.invalidValue, kind: kind)
        }
        self.target = target
        name = try body.readCStringSlice(kind: kind)
        try body.requireEmpty(kind: kind)
    }
}

/// Describe: asks for the parameters and columns of a statement, or the columns of a portal.
package struct DescribeMessage: Hashable, Sendable {
    package let target: TargetMessage.Target
    package let name: ByteBuffer

    package init(body: ByteBuffer) throws(WireError) {
        let message = try TargetMessage(body: body, kind: FrontendKind.describe)
        (target, name) = (message.target, message.name)
    }
}

/// Close: forgets a statement or a portal; one that does not exist is no error.
package struct CloseMessage: Hashable, Sendable {
    package let target: TargetMessage.Target
    package let name: ByteBuffer

    package init(body: ByteBuffer) throws(WireError) {
        let message = try TargetMessage(body: body, kind: FrontendKind.close)
        (target, name) = (message.target, message.name)
    }
}

extension ByteBuffer {
    package mutating func writeDescribe(_ target: TargetMessage.Target, name: String) {
        writeTarget(FrontendKind.describe, target, name)
    }

    package mutating func writeClose(_ target: TargetMessage.Target, name: String) {
        writeTarget(FrontendKind.close, target, name)
    }

    private mutating func writeTarget(_ kind: UInt8, _ target: TargetMessage.Target, _ name: String) {
        writeFrame(kind) { buffer in
            buffer.writeInteger(target.rawValue)
            buffer.writeCString(name)
        }
    }
}
