internal import ControlAPI
internal import PGWire

/// What one statement answered: the body of a successful answer to POST /v1/execute, in the shape of `ExecuteAnswer`, or a result of /v1/batch.
struct AnswerBody {
    /// nil: more than one shard took part, or none.
    var shard: String?
    /// nil: the statement returns no rows.
    var rows: RowEncoder?
    var tag: CommandTag?
    /// Warnings that came with it, such as one about a schema change that is committed but not recorded.
    var notices: [ServerError] = []
    /// nil: one of several results, whose answer says it for all of them.
    var latency: Duration?

    /// Room for the members around the rows.
    private static let frameReserve = 1024
    private static let countingVerbs: Set<String> = ["INSERT", "UPDATE", "DELETE", "MERGE"]

    /// Rows that a write inserted, changed or deleted; 0 for everything else.
    var affectedRows: Int {
        guard let tag, Self.countingVerbs.contains(tag.verb) else { return 0 }
        return tag.rows ?? 0
    }

    /// `typeName` gives the name of a column's type by its oid.
    func encoded(typeName: (UInt32) -> String) -> [UInt8] {
        var writer = JSONWriter()
        writer.bytes.reserveCapacity((rows?.byteCount ?? 0) + Self.frameReserve)
        write(to: &writer, typeName: typeName)
        return writer.bytes
    }

    func write(to writer: inout JSONWriter, typeName: (UInt32) -> String) {
        writer.raw("{\"shard_id\":")
        writer.write(shard.map { .string($0) } ?? .null)
        writer.raw(",")
        if let rows { rows.writeColumns(to: &writer, typeName: typeName) } else { writer.raw("\"columns\":[]") }
        writer.raw(",\"rows\":[")
        if let rows { writer.bytes.append(contentsOf: rows.bytes) }
        writer.raw("],")
        writeCounts(to: &writer)
        writer.raw("}")
    }

    /// The members behind the rows.
    func writeCounts(to writer: inout JSONWriter) {
        writer.raw("\"row_count\":\(rows?.rowCount ?? 0),\"affected_rows\":\(affectedRows)")
        if let latency {
            writer.raw(",\"latency_ms\":")
            writer.write(.milliseconds(latency / .milliseconds(1)))
        }
        if !notices.isEmpty {
            writer.raw(",\"notices\":")
            writer.write(.array(notices.map(\.noticeJSON)))
        }
    }
}

/// The body of a successful answer to POST /v1/batch.
struct BatchBody {
    /// nil: more than one shard took part, or none.
    var shard: String?
    /// One for each statement, in their order.
    var results: [AnswerBody]
    var latency: Duration

    /// `typeName` gives the name of a column's type by its oid, on a shard.
    func encoded(typeName: (UInt32, _ shard: String?) -> String) -> [UInt8] {
        var writer = JSONWriter()
        writer.raw("{\"shard_id\":")
        writer.write(shard.map { .string($0) } ?? .null)
        writer.raw(",\"results\":[")
        for (index, result) in results.enumerated() {
            if index > 0 { writer.raw(",") }
            result.write(to: &writer) { typeName($0, result.shard) }
        }
        writer.raw("],\"latency_ms\":")
        writer.write(.milliseconds(latency / .milliseconds(1)))
        writer.raw("}")
        return writer.bytes
    }
}

extension ServerError {
    fileprivate var noticeJSON: JSONValue {
        var members: [JSONValue.Member] = [
            .init("severity", .string(severity.rawValue)), .init("sqlstate", .string(sqlState.code)), .init("message", .string(message)),
        ]
        if let hint { members.append(.init("hint", .string(hint))) }
        return .object(members)
    }
}
