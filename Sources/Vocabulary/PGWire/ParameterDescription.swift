package import NIOCore

/// ParameterDescription: the types of a statement's parameters.
package struct ParameterDescription: Hashable, Sendable {
    package let types: ParameterTypeList

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.parameterDescription
        var body = body
        types = try ParameterTypeList(from: &body, kind: kind)
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeParameterDescription(_ types: [UInt32]) {
        writeFrame(BackendKind.parameterDescription) { buffer in
            buffer.writeInteger(UInt16(types.count))
            for type in types { buffer.writeInteger(type) }
        }
    }
}
