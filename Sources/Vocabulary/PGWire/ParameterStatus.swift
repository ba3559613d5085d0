package import NIOCore

/// ParameterStatus: the value of a reported setting, at the start and whenever it changes.
package struct ParameterStatus: Hashable, Sendable {
    package let name: String
    package let value: String

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.parameterStatus
        var body = body
        name = try body.readCString(kind: kind)
        value = try body.readCStringRepairing(kind: kind)
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeParameterStatus(name: String, value: String) {
        writeFrame(BackendKind.parameterStatus) { buffer in
            buffer.writeCString(name)
            buffer.writeCString(value)
        }
    }
}
