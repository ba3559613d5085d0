internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import ShardModel

/// What is wrong with the data, in PostgreSQL's words where it has the condition, and with its CONTEXT.
extension CopySplitter {
    /// PostgreSQL cuts a value or line in CONTEXT to this many bytes.
    private static let quotedMax = 100

    func strayLineEnd(isNewline: Bool) -> ServerError {
        let (name, escape) = isNewline ? ("newline", "\\n") : ("carriage return", "\\r")
        return switch plan.format {
        case .text: bad("literal \(name) found in data", hint: "Use \"\(escape)\" to represent \(name).")
        case .csv, .binary: bad("unquoted \(name) found in data", hint: "Use quoted CSV field to represent \(name).")
        }
    }

    func badMarker(mismatches: Bool) -> ServerError {
        bad(mismatches ? "end-of-copy marker does not match previous newline style" : "end-of-copy marker corrupt")
    }

    func rowTooLong() -> ServerError { located(.copyRowTooLong(max: rowMax)) }

    func extraData(_ line: UnsafeRawBufferPointer) -> ServerError {
        unsafe located(bad("extra data after last expected column"), line: line)
    }

    /// `column`: the first position without data.
    func missingData(column: Int, _ line: UnsafeRawBufferPointer) -> ServerError {
        let name = plan.columns.indices.contains(column) ? plan.columns[column] : String(column + 1)
        return unsafe located(bad("missing data for column \"\(name)\""), line: line)
    }

    func unterminatedQuote(_ line: UnsafeRawBufferPointer) -> ServerError {
        unsafe located(bad("unterminated CSV quoted field"), line: line)
    }

    func keyIsNull(_ line: UnsafeRawBufferPointer) -> ServerError {
        unsafe located(plan.refusal(.keyIsNull), line: line)
    }

    func keyTooLong(_ max: Int, _ value: RawSpan) -> ServerError { located(.keyTooLong(max), value: value) }

    func keyError(_ error: KeyError, _ value: RawSpan) -> ServerError {
        switch error {
        case .outOfRange: located(plan.refusal(.keyMalformed, sqlState: .numericValueOutOfRange), value: value)
        default: located(plan.refusal(.keyMalformed), value: value)
        }
    }

    func foreignKey(_ value: RawSpan) -> ServerError { located(plan.refusal(.copyFormat), value: value) }

    func namesNow(_ value: RawSpan) -> ServerError { located(plan.refusal(.volatileReferenceWrite), value: value) }

    // MARK: Parts

    private func bad(_ message: String, hint: String? = nil) -> ServerError {
        located(ServerError(sqlState: .badCopyFileFormat, message: message, hint: hint))
    }

    private var place: String { "COPY \(plan.table.name), line \(lineNumber)" }

    private func located(_ error: ServerError) -> ServerError {
        var error = error
        error[.context] = place
        return error
    }

    private func located(_ error: ServerError, line: UnsafeRawBufferPointer) -> ServerError {
        var error = error
        error[.context] = unsafe "\(place): \"\(Self.quoted(line))\""
        return error
    }

    private func located(_ error: ServerError, value: RawSpan) -> ServerError {
        let column = plan.columns.indices.contains(plan.keyColumn) ? plan.columns[plan.keyColumn] : String(plan.keyColumn + 1)
        var error = error
        let text = value.withUnsafeBytes { unsafe Self.quoted($0) }
        error[.context] = "\(place), column \(column): \"\(text)\""
        return error
    }

    private static func quoted(_ bytes: UnsafeRawBufferPointer) -> String {
        guard bytes.count > quotedMax else { return unsafe String(decoding: bytes, as: UTF8.self) }
        // Not in the middle of a character.
        var end = quotedMax
        while end > 0, unsafe bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return unsafe String(decoding: bytes[..<end], as: UTF8.self) + "..."
    }
}
