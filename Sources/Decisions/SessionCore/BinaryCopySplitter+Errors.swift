internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import ShardModel

/// What is wrong with the data, in PostgreSQL's words where it has the condition, and with its CONTEXT. It shows no values of binary data.
extension BinaryCopySplitter {
    /// PostgreSQL reads the header before it has a place to name.
    func badHeader(_ message: String) -> ServerError { ServerError(sqlState: .badCopyFileFormat, message: message) }

    func bad(_ message: String, field: Int? = nil) -> ServerError {
        located(ServerError(sqlState: .badCopyFileFormat, message: message), field: field)
    }

    func rowTooLong() -> ServerError { located(.copyRowTooLong(max: rowMax)) }

    func refusal(_ code: RefusalCode) -> ServerError { located(plan.refusal(code), field: plan.keyColumn) }

    func keyTooLong(_ max: Int) -> ServerError { located(.keyTooLong(max), field: plan.keyColumn) }

    /// Too short or too long for the key's type.
    func badForm(_ value: RawSpan) -> ServerError {
        let width = plan.keyType == .uuid ? 16 : plan.keyTypeOID == 21 ? 2 : plan.keyTypeOID == 23 ? 4 : 8
        let error =
            value.byteCount < width
            ? ServerError(sqlState: .protocolViolation, message: "insufficient data left in message")
            : ServerError(sqlState: .invalidBinaryRepresentation, message: "incorrect binary data format")
        return located(error, field: plan.keyColumn)
    }

    private func located(_ error: ServerError, field: Int? = nil) -> ServerError {
        var error = error
        error[.context] = "COPY \(plan.table.name), line \(rowNumber)"
        if let field, plan.columns.indices.contains(field) { error[.context]? += ", column \(plan.columns[field])" }
        return error
    }
}

extension SplitCopy {
    func refusal(_ code: RefusalCode, sqlState: SQLState? = nil) -> ServerError {
        ServerError(
            sqlState: sqlState ?? SQLState(code: code.sqlState) ?? .featureNotSupported,
            message: "\(code.message): \(table)", detail: code.rawValue, hint: code.hint)
    }
}

extension ServerError {
    static func copyRowTooLong(max: Int) -> ServerError {
        ServerError(
            sqlState: .programLimitExceeded, message: "a row of COPY data is too long",
            detail: "PGM-COPY-ROW: rows of more than \(max) bytes cannot be split over shards.",
            hint: "Raise the router's limit for a row, or copy the row's large values by an UPDATE of their own.")
    }

    static func keyTooLong(_ max: Int) -> ServerError {
        ServerError(
            sqlState: .stringDataRightTruncation, message: "value too long for type character varying(\(max))")
    }
}
