/// The lines of POST /v1/execute as a stream: the columns, a row each, and one that says how it ended.
///
/// Only the last line has `end_of_stream`, whatever the rows are: in rows that are objects, a column of that name is called otherwise. So a stream that
/// was cut is never taken for a complete one.
package enum StreamLines {
    package static let endMember = "end_of_stream"

    package enum End: String, Hashable, Sendable, CaseIterable {
        /// Everything is there, and what the statement wrote is committed.
        case complete
        /// `error` says why, in the one error shape.
        case failed
    }

    package static let headFields = ["columns"]
    /// Of a complete stream, in this order; warnings come last, as `notices`.
    package static let endFields = [endMember, "shard_id", "tag", "row_count", "affected_rows", "latency_ms"]
}
