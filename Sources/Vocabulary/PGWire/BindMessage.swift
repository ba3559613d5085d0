package import NIOCore

/// Bind: parameters for a prepared statement, giving a portal. A view over the message's body.
///
/// It knows the places of its parts only, and makes each part when it is asked for: a copy of the message costs one reference.
package struct BindMessage: Hashable, Sendable {
    private let body: ByteBuffer
    // Indices of the body.
    private let statementStart: Int
    private let tailStart: Int
    private let valuesStart: Int
    private let resultFormatsStart: Int
    package let parameterCount: Int
    /// Its length.
    package var bytes: Int { body.readableBytes }
    private let parameterFormatCount: Int

    /// Throws also when the number of formats is neither 0, 1, nor that of the parameters.
    package init(body: ByteBuffer) throws(WireError) {
        let kind = FrontendKind.bind
        var rest = body
        try rest.skipCString(kind: kind)
        statementStart = rest.readerIndex
        try rest.skipCString(kind: kind)
        tailStart = rest.readerIndex
        parameterFormatCount = try FormatList(from: &rest, kind: kind).count
        let count = Int(try rest.readChecked(UInt16.self, kind: kind))
        guard parameterFormatCount <= 1 || parameterFormatCount == count else { throw WireError(.invalidCount, kind: kind) }
        parameterCount = count
        valuesStart = rest.readerIndex
        _ = try FieldList(reading: count, from: &rest, kind: kind)
        resultFormatsStart = rest.readerIndex
        _ = try FormatList(from: &rest, kind: kind)
        try rest.requireEmpty(kind: kind)
        self.body = body
    }

    package var portal: ByteBuffer { slice(body.readerIndex, statementStart - 1) }
    package var statement: ByteBuffer { slice(statementStart, tailStart - 1) }
    package var hasNamedPortal: Bool { statementStart - 1 > body.readerIndex }
    package var hasNamedStatement: Bool { tailStart - 1 > statementStart }
    /// The values' bytes, nil for NULL.
    package var parameters: FieldList { FieldList(checked: slice(valuesStart, resultFormatsStart), count: parameterCount) }
    package var parameterFormats: FormatList { FormatList(checked: slice(tailStart + 2, valuesStart - 2), count: parameterFormatCount) }
    /// One a column, or one for all, or none (text). How many columns there are is known to the server alone.
    package var resultFormats: FormatList {
        FormatList(checked: slice(resultFormatsStart + 2, body.writerIndex), count: (body.writerIndex - resultFormatsStart) / 2 - 1)
    }

    package func format(ofParameter index: Int) -> WireFormat { parameterFormats[index] }
    /// nil for NULL. Walks the parameters before it: use `parameters.makeCursor()` for several.
    package func parameter(at index: Int) -> ByteBuffer? { parameters[index] }

    /// The message's length word with a statement's name of `count` bytes in place of its own.
    fileprivate func length(withNameOf count: Int) -> Int { 4 + body.readableBytes - (tailStart - 1 - statementStart) + count }

    /// Writes the body with `name` in place of the statement's. Unsafe: `target` has room for `length(withNameOf:)` less 4, and the
    /// indices were made by reading this body.
    fileprivate func copyParts(to target: UnsafeMutableRawBufferPointer, name: UnsafeRawBufferPointer) {
        body.withUnsafeReadableBytes { source in
            let base = body.readerIndex
            let before = UnsafeRawBufferPointer(rebasing: source[..<(statementStart - base)])
            let after = UnsafeRawBufferPointer(rebasing: source[(tailStart - 1 - base)...])
            target.copyMemory(from: before)
            UnsafeMutableRawBufferPointer(rebasing: target[before.count...]).copyMemory(from: name)
            UnsafeMutableRawBufferPointer(rebasing: target[(before.count + name.count)...]).copyMemory(from: after)
        }
    }

    private func slice(_ start: Int, _ end: Int) -> ByteBuffer { body.getSlice(at: start, length: end - start) ?? ByteBuffer() }
}

extension ByteBuffer {
    /// The same portal, parameters and formats for another statement. `statementName` has no zero byte.
    package mutating func writeBind(rewriting message: BindMessage, statementName: String) {
        // One reservation and three copies, where writing part by part checks the buffer for each: this runs for nearly every Bind.
        var name = statementName
        let length = message.length(withNameOf: name.utf8.count)
        writeWithUnsafeMutableBytes(minimumWritableBytes: length + 1) { target in
            target.storeBytes(of: FrontendKind.bind, as: UInt8.self)
            target.storeBytes(of: Int32(length).bigEndian, toByteOffset: 1, as: Int32.self)
            name.withUTF8 { message.copyParts(to: UnsafeMutableRawBufferPointer(rebasing: target[5...]), name: UnsafeRawBufferPointer($0)) }
            return length + 1
        }
    }

    /// Some of the parameters (numbers from 1, in this order) for another statement, with the same formats of results.
    package mutating func writeBind(selecting numbers: [Int], of message: BindMessage, portal: String, statement: String) {
        let values = Array(message.parameters)
        let formats = message.resultFormats
        writeFrame(FrontendKind.bind) { buffer in
            buffer.writeCString(portal)
            buffer.writeCString(statement)
            buffer.writeInteger(UInt16(numbers.count))
            for number in numbers { buffer.writeInteger(message.format(ofParameter: number - 1).rawValue) }
            buffer.writeInteger(UInt16(numbers.count))
            for number in numbers { buffer.writeField(values[number - 1]) }
            buffer.writeInteger(UInt16(formats.count))
            for index in 0..<formats.count { buffer.writeInteger(formats[index].rawValue) }
        }
    }

    /// The same parameters and more for the unnamed statement, with the same portal and formats of results.
    package mutating func writeBind(appending values: [BindValue], to message: BindMessage) {
        let formats = message.resultFormats
        writeFrame(FrontendKind.bind) { buffer in
            buffer.writeImmutableBuffer(message.portal)
            buffer.writeMultipleIntegers(0 as UInt8, 0 as UInt8)
            let count = UInt16(message.parameterCount + values.count)
            buffer.writeInteger(count)
            for index in 0..<message.parameterCount { buffer.writeInteger(message.format(ofParameter: index).rawValue) }
            for value in values { buffer.writeInteger(value.format.rawValue) }
            buffer.writeInteger(count)
            for value in message.parameters { buffer.writeField(value) }
            for value in values { buffer.writeField(value.value) }
            buffer.writeInteger(UInt16(formats.count))
            for index in 0..<formats.count { buffer.writeInteger(formats[index].rawValue) }
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
