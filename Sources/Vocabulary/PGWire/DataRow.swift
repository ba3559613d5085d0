package import NIOCore

/// DataRow: one row. A view over the message's body.
package struct DataRow: Hashable, Sendable {
    /// The values' bytes, nil for NULL.
    package let columns: FieldList

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.dataRow
        var body = body
        let count = Int(try body.readChecked(UInt16.self, kind: kind))
        columns = try FieldList(reading: count, from: &body, kind: kind)
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeDataRow(_ columns: [ByteBuffer?]) {
        writeFrame(BackendKind.dataRow) { buffer in
            buffer.writeInteger(UInt16(columns.count))
            for column in columns { buffer.writeField(column) }
        }
    }

    /// A row of text values.
    package mutating func writeDataRow(text columns: [String?]) {
        writeFrame(BackendKind.dataRow) { buffer in
            buffer.writeInteger(UInt16(columns.count))
            for column in columns {
                if let column {
                    buffer.writeInteger(Int32(column.utf8.count))
                    buffer.writeString(column)
                } else {
                    buffer.writeInteger(-1 as Int32)
                }
            }
        }
    }
}
