import Testing

@Suite struct ErrorCodeTests {
    /// Each code that stands at the start of a string in `Sources/`, with the places.
    private static let codes: [String: [String]] = {
        var codes: [String: [String]] = [:]
        for (path, code) in Repository.sources {
            for number in code.withoutComments.lines(containing: "\"PGM-") {
                for match in code.withoutComments.line(number).matches(of: /"(PGM-[A-Z]+(?:-[A-Z]+)*)/) {
                    codes[String(match.1), default: []].append("\(path):\(number)")
                }
            }
        }
        return codes
    }()

    /// Two conditions with one code could not be told apart.
    @Test func everyCodeIsWrittenInOnePlace() {
        #expect(Self.codes.count > 50)
        for (code, places) in Self.codes { #expect(places.count == 1, "\(code) is in \(places)") }
    }

    @Test func everyCodeIsInTheReferenceAndNoOther() throws {
        let page = try #require(Repository.text("docs/reference/refusals.md"))
        let documented = Set(page.matches(of: /\bPGM-[A-Z]+(?:-[A-Z]+)*/).map { String($0.output) })
        #expect(Set(Self.codes.keys).subtracting(documented).sorted() == [], "not in docs/reference/refusals.md")
        #expect(documented.subtracting(Self.codes.keys).sorted() == [], "in docs/reference/refusals.md only")
    }

    @Test func everySQLStateHasOneName() throws {
        let text = SwiftCode(try #require(Repository.text("Sources/Vocabulary/PGWire/SQLState.swift"))).withoutComments.string
        var seen: Set<Substring> = []
        for match in text.matches(of: /= SQLState\("([0-9A-Z]{5})"\)/) {
            #expect(seen.insert(match.1).inserted, "SQLSTATE \(match.1) has two names")
        }
        #expect(seen.count > 20)
    }
}
