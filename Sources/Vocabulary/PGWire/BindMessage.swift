package import NIOCore

/// Bind: parameters for a prepared statement, giving a portal. A view over the message's body.
package struct BindMessage: Hashable, Sendable {
    package let portal: ByteBuffer
    package let statement: ByteBuffer
    package let parameterFormats: FormatList
    /// The values' bytes, nil for NULL; their formats are in `parameterFormats`.
    package let parameters: FieldList
    /// One a column, or one for all, or none (text). How many columns there are is known to the server alone.
    package let resultFormats: FormatList
    /// Everything behind the statement's name: what a Bind of another statement shares with this one.
    let tail: ByteBuffer

    /// Throws also when the number of formats is neither 0, 1, nor that of the parameters.
    package init(body: ByteBuffer) throws(WireError) {
        let kind = FrontendKind.bind
        var body = body
        portal = try body.readCStringSlice(kind: kind)
        statement = try body.readCStringSlice(kind: kind)
        tail = body
        parameterFormats = try FormatList(from: &body, kind: kind)
        let count = Int(try body.readChecked(UInt16.self, kind: kind))
        guard parameterFormats.count <= 1 || parameterFormats.count == count else { throw WireError(.invalidCount, kind: kind) }
        parameters = try FieldList(reading: count, from: &body, kind: kind)
        resultFormats = try FormatList(from: &body, kind: kind)
        try body.requireEmpty(kind: kind)
    }

    package func format(ofParameter index: Int) -> WireFormat { parameterFormats[index] }
    /// nil for NULL. Walks the parameters before it: use `parameters.makeCursor()` for several.
    package func parameter(at index: Int) -> ByteBuffer? { parameters[index] }
}

extension ByteBuffer {
    /// The same portal, parameters and formats for another statement.
    package mutating func writeBind(rewriting message: BindMessage, statementName: String) {
        writeFrame(FrontendKind.bind) { buffer in
            buffer.writeCString(slice: message.portal)
            buffer.writeCString(statementName)
            buffer.writeImmutableBuffer(message.tail)
        }
    }

    /// A value to send in Bind.
    package typealias BindValue = (value: ByteBuffer?, format: WireFormat)

    package mutating func writeBind(portal: String, statement: String, parameters: [BindValue], resultFormat: WireFormat = .text) {
        writeFrame(FrontendKind.bind) { buffer in
            buffer.writeCString(portal)
            buffer.writeCString(statement)
            buffer.writeInteger(UInt16(parameters.count))
            for parameter in parameters { buffer.writeInteger(parameter.format.rawValue) }
            buffer.writeInteger(UInt16(parameters.count))
            for parameter in parameters { buffer.writeField(parameter.value) }
            buffer.writeMultipleIntegers(1 as UInt16, resultFormat.rawValue)
        }
    }

    /// A value behind its length word, -1 for NULL.
    mutating func writeField(_ value: ByteBuffer?) {
        if let value {
            writeInteger(Int32(value.readableBytes))
            writeImmutableBuffer(value)
        } else {
            writeInteger(-1 as Int32)
        }
    }
}
