import PGChannel
import Testing

/// INSERT … SELECT and changes of the shard key, and the same on one plain PostgreSQL: the same tag, rows of RETURNING, error, and tables afterwards.
@Suite struct InsertSelectTests {
    private static let tables = ["a", "b", "few", "none", "odd", "plain", "ref"]

    private static func expectEqualTables(_ router: PGClient, _ plain: PGClient, _ reason: String) async throws {
        for table in tables {
            let answer = try await AcrossForm.simple.run(router, "SELECT * FROM \(table)")
            let expected = try await AcrossForm.simple.run(plain, "SELECT * FROM \(table)")
            #expect(answer == expected, "\(table) behind \(reason)")
        }
    }

    private static func expectEqual(_ statements: [String], _ router: PGClient, _ plain: PGClient) async throws -> Int {
        var written = 0
        for (place, statement) in statements.enumerated() {
            for form in AcrossForm.allCases {
                for isInBlock in [false, true] where isInBlock || place % 6 == 0 && form != .extendedText {
                    if isInBlock { for client in [router, plain] { try await client.execute("BEGIN") } }
                    let expected = try await form.run(plain, statement)
                    let answer = try await form.run(router, statement)
                    #expect(answer == expected, "\(form) \(isInBlock): \(statement)")
                    if answer.sqlState == nil, expected.sqlState == nil {
                        written += 1
                        try await expectEqualTables(router, plain, statement)
                    }
                    if isInBlock { for client in [router, plain] { try await client.execute("ROLLBACK") } } else { try await restore(router, plain) }
                }
            }
        }
        try await expectEqualTables(router, plain, "all of them were taken back")
        return written
    }

    /// The rows that statements outside of blocks have changed are put in anew.
    private static func restore(_ router: PGClient, _ plain: PGClient) async throws {
        for client in [router, plain] {
            for table in tables { try await client.execute("DELETE FROM \(table)") }
            for statement in AcrossStatements.data where !statement.hasPrefix("INSERT INTO words") { try await client.execute(statement) }
        }
    }

    @Test func rowsThatKeepTheirKeyAreInsertedByEachShard() async throws {
        try await AcrossTests.withBoth { router, plain in
            let written = try await Self.expectEqual(InsertSelects.kept, router, plain)
            #expect(written > 30)
        }
    }

    @Test func rowsAreMergedByTheirKey() async throws {
        try await AcrossTests.withBoth { router, plain in
            let written = try await Self.expectEqual(InsertSelects.merged, router, plain)
            #expect(written > 15)
        }
    }

    @Test func otherRowsAreSentToTheirShards() async throws {
        try await AcrossTests.withBoth { router, plain in
            let written = try await Self.expectEqual(InsertSelects.sent, router, plain)
            #expect(written > 50)
        }
    }

    @Test func keysAreWorkedOutAsByOnePostgreSQL() async throws {
        try await AcrossTests.withBoth { router, plain in
            for client in [router, plain] { try await client.execute("ALTER TABLE none ALTER COLUMN k SET DEFAULT length('0123456789')") }
            let written = try await Self.expectEqual(InsertSelects.worked, router, plain)
            #expect(written > 20)
        }
    }

    @Test func rowsMoveToTheShardOfTheirNewKey() async throws {
        try await AcrossTests.withBoth { router, plain in
            let written = try await Self.expectEqual(InsertSelects.moved, router, plain)
            #expect(written > 60)
        }
    }

    @Test func whatCannotBeSentIsRefused() async throws {
        try await AcrossTests.withBoth { router, plain in
            for (statement, code) in InsertSelects.refused {
                for form in AcrossForm.allCases { #expect(try await form.run(router, statement).refusal == code, "\(form): \(statement)") }
            }
            try await Self.expectEqualTables(router, plain, "refusals")
        }
    }

    @Test func theMomentIsOneForAllRows() async throws {
        try await AcrossTests.withBoth { router, _ in
            for form in AcrossForm.allCases {
                try await router.execute("BEGIN")
                let moment = try await AcrossForm.simple.run(router, "SELECT now()").rows
                for statement in ["INSERT INTO odd (k, tz) SELECT k + 100, now() FROM odd", "INSERT INTO odd (k, tz) SELECT k, now() FROM a WHERE k > 24 AND k < 90", "UPDATE odd SET k = 300, tz = now() WHERE k = 1", "UPDATE odd SET tz = now() WHERE k <= 24"] {
                    #expect(try await form.run(router, statement).sqlState == nil, "\(form): \(statement)")
                }
                #expect(try await AcrossForm.simple.run(router, "SELECT DISTINCT tz FROM odd").rows == moment)
                try await router.execute("ROLLBACK")
            }
        }
    }
}
