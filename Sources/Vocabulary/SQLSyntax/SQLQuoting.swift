/// `name` as a quoted SQL identifier.
package func quoteIdentifier(_ name: String) -> String { "\"\(doubling("\"", in: name))\"" }

/// `text` as a SQL string literal, whatever standard_conforming_strings is.
package func quoteLiteral(_ text: String) -> String {
    let quoted = "'\(doubling("'", in: text))'"
    return text.utf8.contains(UInt8(ascii: "\\")) ? "E\(doubling("\\", in: quoted))" : quoted
}

/// By scalars: a mark and a combining one behind it are one `Character`, which is no mark, and would stay alone.
func doubling(_ mark: Unicode.Scalar, in text: String) -> String {
    guard text.unicodeScalars.contains(mark) else { return text }
    return text.unicodeScalars.split(separator: mark, omittingEmptySubsequences: false).map { String($0) }.joined(separator: "\(mark)\(mark)")
}
