import Testing

/// What `Sources/` does not do, and what it does only with its reason beside it.
@Suite struct BannedCodeTests {
    /// What a line must contain, and the pattern that tells it from longer words.
    private static var banned: [(what: String, pattern: Regex<Substring>)] {
        [
            ("print(", /(?:^|[^\w.`])print\(/),
            ("try!", /\btry!/),
            ("fatalError(", /\bfatalError\(/),
            ("as!", /\bas!/),
            ("unowned(unsafe)", /\bunowned\(unsafe\)/),
        ]
    }

    /// Each switches a check of the compiler off.
    private static var explained: [(what: String, pattern: Regex<Substring>)] {
        [
            ("@unchecked Sendable", /@unchecked Sendable/),
            ("nonisolated(unsafe)", /\bnonisolated\(unsafe\)/),
            ("unsafeBitCast", /\bunsafeBitCast\(/),
            ("unsafeDowncast", /\bunsafeDowncast\(/),
        ]
    }

    /// Output is Console's, errors are thrown, and a peer cannot end the process.
    @Test func nothingPrintsOrGivesUp() {
        for (path, code) in Repository.sources {
            for finding in Self.findings(Self.banned, code) { Issue.record("\(path):\(finding.line) has \(finding.what)") }
        }
    }

    /// A comment in the five lines before says why it is right.
    @Test func whatTheCompilerDoesNotCheckIsExplained() {
        for (path, code) in Repository.sources {
            for finding in Self.findings(Self.explained, code) where !Self.isExplained(finding.line, code) {
                Issue.record("\(path):\(finding.line) has \(finding.what) without a comment that says why")
            }
        }
    }

    private static func isExplained(_ line: Int, _ code: SwiftCode) -> Bool {
        (max(1, line - 5)...line).contains { code.comments.line($0).contains { !$0.isWhitespace && $0 != "/" } }
    }

    /// Lines count from 1.
    private static func findings(_ rules: [(what: String, pattern: Regex<Substring>)], _ code: SwiftCode) -> [(line: Int, what: String)] {
        rules.flatMap { rule in
            code.code.lines(containing: rule.what).filter { code.code.line($0).contains(rule.pattern) }.map { ($0, rule.what) }
        }
    }

    @Test func theRulesFindWhatTheyForbid() {
        let code = SwiftCode(#"""
            print("x"); sprint(1); value.print(2)
            let a = try! f(), b = a as! Int  // fatalError(
            /* print( */ let c = "print(\(try! g()))"
            unowned(unsafe) let d: D
            """#)
        #expect(Self.findings(Self.banned, code).map { "\($0.line) \($0.what)" } == ["1 print(", "2 try!", "3 try!", "2 as!", "4 unowned(unsafe)"])
        let bare = SwiftCode("\n\n\n\n\n\nfinal class A: @unchecked Sendable {}")
        let explained = SwiftCode("// Read once.\nfinal class A: @unchecked Sendable {}")
        #expect(Self.findings(Self.explained, bare).contains { !Self.isExplained($0.line, bare) })
        #expect(Self.findings(Self.explained, explained).allSatisfy { Self.isExplained($0.line, explained) })
    }
}
