import PGChannel
import TestKit
import Testing

/// Writes over all shards, and the same on one plain PostgreSQL: the same tag, rows of RETURNING, error, and tables afterwards.
@Suite struct AcrossWriteTests {
    private static let tables = ["a", "b", "few", "none", "odd", "plain"]

    private static func expectEqualTables(_ router: PGClient, _ plain: PGClient, _ reason: String) async throws {
        for table in tables {
            let answer = try await AcrossForm.simple.run(router, "SELECT * FROM \(table)")
            let expected = try await AcrossForm.simple.run(plain, "SELECT * FROM \(table)")
            #expect(answer == expected, "\(table) behind \(reason)")
            #expect(answer.sqlState == nil)
        }
    }

    /// In a block, where what was written is read before it is taken back.
    @Test func whatAllShardsWriteIsWhatOnePostgreSQLWrites() async throws {
        try await AcrossTests.withBoth { router, plain in
            var written = 0
            for statement in AcrossWrites.all {
                for form in AcrossForm.allCases where form == .simple || !statement.hasPrefix("TRUNCATE") {
                    for client in [router, plain] { try await client.execute("BEGIN") }
                    let expected = try await form.run(plain, statement)
                    let answer = try await form.run(router, statement)
                    #expect(answer == expected, "\(form): \(statement)")
                    if answer.sqlState == nil, expected.sqlState == nil {
                        written += 1
                        try await Self.expectEqualTables(router, plain, statement)
                    }
                    for client in [router, plain] { try await client.execute("ROLLBACK") }
                }
            }
            #expect(written > 2 * AcrossWrites.all.count)
            try await Self.expectEqualTables(router, plain, "all of them were taken back")
        }
    }

    /// Alone, one behind the other: errors leave nothing, and what was done stays.
    @Test func eachIsATransactionOfItsOwn() async throws {
        try await AcrossTests.withBoth { router, plain in
            for (place, statement) in (AcrossWrites.all.filter { $0.contains("/") || $0.contains("30)") || $0.contains("no = 1") } + AcrossWrites.all).enumerated() {
                let form = statement.hasPrefix("TRUNCATE") ? .simple : AcrossForm.allCases[place % AcrossForm.allCases.count]
                let expected = try await form.run(plain, statement)
                let answer = try await form.run(router, statement)
                #expect(answer == expected, "\(form): \(statement)")
                try await Self.expectEqualTables(router, plain, statement)
                guard statement.hasPrefix("DELETE FROM a") || statement.hasPrefix("TRUNCATE") else { continue }
                for client in [router, plain] {
                    try await client.execute("INSERT INTO a VALUES (1, 1, 1, 'x'), (2, 2, 2, 'y'), (57, 3, 3, NULL), (58, 4, 4, 's1') ON CONFLICT DO NOTHING")
                }
            }
        }
    }

    @Test func whatCannotBeProvenIsRefused() async throws {
        try await AcrossTests.withBoth { router, plain in
            for (statement, code) in AcrossWrites.refused {
                for form in AcrossForm.allCases { #expect(try await form.run(router, statement).refusal == code, "\(form): \(statement)") }
            }
            try await Self.expectEqualTables(router, plain, "refusals")
        }
    }

    @Test func whatIsWrittenAtRandomIsWhatOnePostgreSQLWrites() async throws {
        let rounds = RandomRounds()
        try await AcrossTests.withBoth { router, plain in
            for seed in rounds {
                // What stayed of the round before would leave less and less.
                for statement in ["TRUNCATE a"] + AcrossStatements.data.filter({ $0.hasPrefix("INSERT INTO a ") }) {
                    for client in [router, plain] { try await client.execute(statement) }
                }
                var generator = SeededGenerator(seed: seed)
                var written = 0
                for number in 0..<80 {
                    let statement = AcrossWrites.random(&generator)
                    let form = AcrossForm.allCases[number % AcrossForm.allCases.count]
                    let stays = number % 7 == 0
                    for client in [router, plain] where !stays { try await client.execute("BEGIN") }
                    let expected = try await form.run(plain, statement)
                    let answer = try await form.run(router, statement)
                    #expect(answer == expected, "\(form): \(statement)")
                    if answer.sqlState == nil, expected.sqlState == nil { written += 1 }
                    if stays || answer.sqlState == nil { try await Self.expectEqualTables(router, plain, statement) }
                    for client in [router, plain] where !stays { try await client.execute("ROLLBACK") }
                }
                #expect(written > 40)
            }
        }
    }
}
