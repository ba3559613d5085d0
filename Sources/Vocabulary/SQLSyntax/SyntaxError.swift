/// Why PostgreSQL's parser, or one of our limits before it, does not accept a statement.
package struct SyntaxError: Error, Hashable, Sendable {
    /// As PostgreSQL words it ("syntax error at or near \"FORM\"").
    package var message: String
    /// 1-based, in characters, as in the `P` field of an ErrorResponse; nil where the parser names no place.
    package var position: Int?
    package var sqlState: String
    package var hint: String?

    package init(message: String, position: Int? = nil, sqlState: String = "42601", hint: String? = nil) {
        self.message = message
        self.position = position
        self.sqlState = sqlState
        self.hint = hint
    }

    /// What the parser said. A statement newer than the parser fails here too, hence the hint.
    package static func fromParser(_ message: String, position: Int?) -> SyntaxError {
        SyntaxError(
            message: message, position: position,
            hint: "Statements are read with the grammar of PostgreSQL 15; newer syntax is not understood yet.")
    }

    /// A NUL byte cannot be part of a PostgreSQL string (22021), and would end the C string early.
    package static let containsNUL = SyntaxError(
        message: "invalid byte sequence for encoding \"UTF8\": 0x00", sqlState: "22021")

    package static let tooLong = SyntaxError(
        message: "statement is too long for the router's parser", sqlState: "54000",
        hint: "Send the data as parameters or with COPY.")

    /// The parser's tree is walked recursively, by it and by us: its depth has to be bounded before it exists.
    package static let tooDeep = SyntaxError(
        message: "statement is nested too deeply for the router's parser", sqlState: "54001",
        hint: "Use an IN list, VALUES or an array parameter instead of a long chain of operators.")
}
