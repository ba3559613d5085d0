internal import ControlAPI
internal import PGWire

// The lines of a streamed result that are no rows (`StreamLines`).

extension RowEncoder {
    /// The first line. `typeName` gives the name of a column's type by its oid.
    func headLine(typeName: (UInt32) -> String) -> [UInt8] {
        var writer = JSONWriter()
        writer.raw("{")
        writeColumns(to: &writer, typeName: typeName)
        writer.raw("}\n")
        return writer.bytes
    }

    /// `"columns":[…]`
    func writeColumns(to writer: inout JSONWriter, typeName: (UInt32) -> String) {
        writer.raw("\"columns\":[")
        for (index, column) in columns.enumerated() {
            writer.raw(index > 0 ? ",{\"name\":" : "{\"name\":")
            writer.write(names[index])
            writer.raw(",\"type\":")
            writer.write(typeName(column.typeOID))
            writer.raw("}")
        }
        writer.raw("]")
    }
}

extension AnswerBody {
    /// The first line where there are no rows, nor columns.
    static let headLineWithoutColumns = Array("{\"columns\":[]}\n".utf8)

    /// The last line of a complete stream.
    func lastLine() -> [UInt8] {
        var writer = JSONWriter()
        writer.raw("{\"\(StreamLines.endMember)\":\"\(StreamLines.End.complete.rawValue)\",\"shard_id\":")
        writer.write(shard.map { .string($0) } ?? .null)
        writer.raw(",\"tag\":")
        writer.write(tag.map { .string($0.text) } ?? .null)
        writer.raw(",")
        writeCounts(to: &writer)
        writer.raw("}\n")
        return writer.bytes
    }
}
