import Foundation
import RoutePlanning
import Testing

/// docs/reference/refusals.md says what the code does.
@Suite struct RefusalReferenceTests {
    private struct Entry {
        var code: String
        var body: String
        /// The content of its ```sql block, which the planner must refuse with this code.
        var example: String?
    }

    private static func entries() throws -> [Entry] {
        let page = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "../../../docs/reference/refusals.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        return text.components(separatedBy: "\n### ").dropFirst().map { section in
            let lines = section.components(separatedBy: "\n## ")[0]
            let code = String(lines.prefix { $0 != "\n" })
            let example = lines.components(separatedBy: "```sql\n").dropFirst().first?.components(separatedBy: "\n```")[0]
            return Entry(code: code, body: String(lines.dropFirst(code.count)), example: example)
        }
    }

    @Test func everyCodeHasOneEntryAndNoEntryIsLeftOver() throws {
        let documented = try Self.entries().map(\.code)
        #expect(documented.sorted() == RefusalCode.allCases.map(\.rawValue).sorted())
        #expect(Set(RefusalCode.allCases.map(\.rawValue)).count == RefusalCode.allCases.count)
    }

    @Test func everyEntrySaysWhyAndWhatToDo() throws {
        for entry in try Self.entries() {
            #expect(entry.body.count > 60 && entry.body.contains("\nInstead: "), "\(entry.code)")
            guard let code = RefusalCode(rawValue: entry.code) else { continue }
            if code.sqlState != "0A000" { #expect(entry.body.contains("SQLSTATE \(code.sqlState)"), "\(entry.code)") }
        }
    }

    @Test func theExamplesAreRefusedWithTheCodeTheyStandUnder() throws {
        var examined = 0
        for entry in try Self.entries() {
            guard let example = entry.example else { continue }
            examined += 1
            guard entry.code != RefusalCode.statementList.rawValue else {
                #expect(throws: StatementPlanner.TextError.refused(Refusal(.statementList))) {
                    try Fixture.plan(example, several: true, in: DefinitionTests.context)
                }
                continue
            }
            #expect(Fixture.route(example, in: DefinitionTests.context) == entry.code, "\(example)")
        }
        #expect(examined > 50)
    }

    @Test func everyRefusalHasAMessageAHintAndASqlState() {
        for code in RefusalCode.allCases {
            let refusal = Refusal(code)
            #expect(refusal.message.count > 10 && refusal.hint.count > 4 && refusal.sqlState.utf8.count == 5, "\(code)")
            #expect(code.rawValue.hasPrefix("PGM-") && !refusal.message.hasSuffix("."), "\(code)")
        }
    }
}
