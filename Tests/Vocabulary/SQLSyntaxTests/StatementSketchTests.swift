import SQLSyntax
import Testing

@Suite struct StatementSketchTests {
    private func sketch(_ text: String, bytesMax: Int = 1000) -> String {
        Array(text.utf8).withUnsafeBytes { StatementSketch.sketch(of: $0, bytesMax: bytesMax) }
    }

    @Test(arguments: [
        ("UPDATE t SET a = 'hunter2', b = 12.5 WHERE id = 7", "UPDATE t SET a = ?, b = ? WHERE id = ?"),
        ("INSERT INTO t VALUES (1,E'hunter\\'2',$$hunter2$$,$1)", "INSERT INTO t VALUES (?,?,?,$1)"),
        ("/* hunter2 */ DELETE FROM \"T\" -- hunter2\n WHERE x=-1e5", "DELETE FROM \"T\" WHERE x=-?"),
        ("ALTER ROLE a PASSWORD $x$hunter2$x$", "ALTER ROLE a PASSWORD ?"),
        ("UPDATE t SET a = B'101', b = X'1F', c = U&'\\0068unter2', d = N'hunter2'", "UPDATE t SET a = ?, b = ?, c = ?, d = ?"),
        // One that a setting makes longer than it looks, and one without an end.
        ("UPDATE t SET a = 'x\\' hunter2 ' WHERE b = 'y'", "UPDATE t SET a = ?…"),
        ("UPDATE t SET a = 'hunter2", "UPDATE t SET a = …"),
        ("UPDATE t SET a = 1hunter2", "UPDATE t SET a = …"),
        ("", ""), ("-- hunter2", ""), ("SELECT 'it''s'", "SELECT ?"),
    ])
    func noLiteralAndNoCommentIsInIt(_ text: String, _ expected: String) {
        #expect(sketch(text) == expected)
    }

    @Test func aLongTextIsCutBetweenCharacters() {
        let text = "SELECT " + String(repeating: "ß", count: 1000)
        for bytesMax in 20...24 {
            let result = sketch(text, bytesMax: bytesMax)
            #expect(result.utf8.count <= bytesMax + 3 && result.hasSuffix("…") && !result.contains("\u{FFFD}"))
        }
    }
}
