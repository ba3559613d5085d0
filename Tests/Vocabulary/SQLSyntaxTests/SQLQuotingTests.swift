import SQLSyntax
import Testing

@Suite struct SQLQuotingTests {
    @Test(arguments: [("a\"", "\"a\"\"\""), ("\"", "\"\"\"\""), ("", "\"\""), ("a\"\u{301}b", "\"a\"\"\u{301}b\"")])
    func namesAreQuoted(_ name: String, _ quoted: String) { #expect(quoteIdentifier(name).utf8.elementsEqual(quoted.utf8)) }

    /// A mark with a combining one behind it is one `Character`, and is a mark all the same.
    @Test(arguments: [
        ("it's'", "'it''s'''"), ("\\'", "E'\\\\'''"), ("", "''"), ("'\u{301}); DROP TABLE t; --", "'''\u{301}); DROP TABLE t; --'"), ("\\\u{301}'\u{200d}", "E'\\\\\u{301}''\u{200d}'"),
        ("\r\n'\r\n", "'\r\n''\r\n'"),
    ])
    func textsAreQuoted(_ text: String, _ quoted: String) { #expect(quoteLiteral(text).utf8.elementsEqual(quoted.utf8)) }

    @Test(arguments: ["a*/\u{301}b", "/*", "*/", "/\u{301}*/\u{301}"])
    func aHintsKeyDoesNotEndItsComment(_ key: String) { #expect(StatementHint.comment(shardKey: key) == nil) }

    @Test(arguments: ["it's", "''", "'''", "a'\u{301}b", "\u{301}x", "x'\u{301}"])
    func aHintsKeyIsReadAsItWasWritten(_ key: String) throws {
        let comment = try #require(StatementHint.comment(shardKey: key))
        #expect(StatementHint.shardKey(in: Array((comment + "SELECT 1").utf8))?.utf8.elementsEqual(key.utf8) == true)
    }
}
