package import NIOCore

/// RowDescription: the columns of the rows that follow.
package struct RowDescription: Hashable, Sendable {
    package struct Column: Hashable, Sendable {
        package var name: String
        /// The table and attribute number it comes from, 0 where it is not a plain column.
        package var tableOID: UInt32
        package var attributeNumber: Int16
        package var typeOID: UInt32
        /// Bytes, negative for types of variable length.
        package var typeSize: Int16
        package var typeModifier: Int32
        /// Text in the answer to Describe of a statement, whose formats are not known yet.
        package var format: WireFormat

        package init(
            name: String, typeOID: UInt32, tableOID: UInt32 = 0, attributeNumber: Int16 = 0, typeSize: Int16 = -1,
            typeModifier: Int32 = -1, format: WireFormat = .text
        ) {
            self.name = name
            self.tableOID = tableOID
            self.attributeNumber = attributeNumber
            self.typeOID = typeOID
            self.typeSize = typeSize
            self.typeModifier = typeModifier
            self.format = format
        }
    }

    package var columns: [Column]

    package init(columns: [Column]) { self.columns = columns }

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.rowDescription
        var body = body
        let count = Int(try body.readChecked(UInt16.self, kind: kind))
        // A column takes at least its name's terminator and 18 bytes.
        guard body.readableBytes >= count * 19 else { throw WireError(.truncated, kind: kind) }
        columns = []
        columns.reserveCapacity(count)
        for _ in 0..<count { columns.append(try Column(from: &body, kind: kind)) }
        try body.requireEmpty(kind: kind)
    }
}

extension RowDescription.Column {
    init(from body: inout ByteBuffer, kind: UInt8) throws(WireError) {
        name = try body.readCStringRepairing(kind: kind)
        tableOID = try body.readChecked(kind: kind)
        attributeNumber = try body.readChecked(kind: kind)
        typeOID = try body.readChecked(kind: kind)
        typeSize = try body.readChecked(kind: kind)
        typeModifier = try body.readChecked(kind: kind)
        guard let format = WireFormat(rawValue: try body.readChecked(kind: kind)) else {
            throw WireError(.unsupportedFormat, kind: kind)
        }
        self.format = format
    }
}

extension ByteBuffer {
    package mutating func writeRowDescription(_ columns: [RowDescription.Column]) {
        writeFrame(BackendKind.rowDescription) { buffer in
            buffer.writeInteger(UInt16(columns.count))
            for column in columns {
                buffer.writeCString(column.name)
                buffer.writeMultipleIntegers(
                    column.tableOID, column.attributeNumber, column.typeOID, column.typeSize, column.typeModifier,
                    column.format.rawValue)
            }
        }
    }
}
