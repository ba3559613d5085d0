import ClusterTestKit
import Foundation
import NIOCore
import PGChannel
import PGWire
import PostgresProcess
import Testing

/// EXPLAIN over several shards: its own lines, each shard's plan, and what it counts when it runs.
@Suite struct ExplainTests {
    /// With the rules by which each is accepted, and how many plans there are of each shard.
    private static let statements: [(String, String, Int)] = [
        ("SELECT k, n FROM a WHERE n > 1", "rows-of-anchor", 1), ("SELECT k, count(*) FROM b GROUP BY k", "groups-by-key", 1), ("SELECT DISTINCT k, s FROM a", "rows-of-anchor, distinct-with-key", 1),
        ("SELECT count(*), sum(n), avg(m) FROM a", "aggregates-combined", 1), ("SELECT n, count(*) FROM a GROUP BY n ORDER BY 2 DESC, n LIMIT 3", "groups-combined, ordered", 1),
        ("SELECT DISTINCT n FROM a", "distinct-combined", 1), ("SELECT k FROM a ORDER BY m DESC, k LIMIT 5 OFFSET 2", "rows-of-anchor, merge-ordered", 1), ("SELECT k FROM a ORDER BY abs(n), k", "rows-of-anchor, ordered", 1), ("SELECT n, count(DISTINCT s) FROM a GROUP BY n", "finished", 1),
        ("SELECT a.k, b.t FROM a JOIN b ON a.n = b.no", "finished", 2), ("SELECT k FROM a WHERE k IN (1, 2, 3, 4, 5, 6, 7, 8)", "rows-of-anchor", 1), ("UPDATE a SET n = n + 1 WHERE n = 2", "rows-alone", 1),
        ("INSERT INTO none SELECT k, n, s FROM a", "rows-inserted", 1), ("MERGE INTO few USING a ON a.k = few.k WHEN MATCHED THEN DELETE", "rows-merged", 1),
        ("DELETE FROM b USING ref WHERE ref.n = b.no", "rows-of-target", 1), ("SELECT k FROM a WHERE n = 1 FOR UPDATE", "rows-locked", 1),
    ]

    @Test func eachShardsPlanIsToldAndNothingRuns() async throws {
        try await FinisherTests.withBoth { cluster, router, _ in
            let before = try await Self.rows(router, "SELECT count(*), sum(n) FROM a")
            for (statement, rules, plans) in Self.statements {
                for form in AcrossForm.allCases {
                    let answer = try await form.run(router, "EXPLAIN (COSTS OFF) " + statement)
                    #expect(answer.columns == ["QUERY PLAN 25 -1"] && answer.tag == "EXPLAIN", "\(statement): \(answer)")
                }
                let lines = try await Self.rows(router, "EXPLAIN (COSTS OFF) " + statement)
                #expect(lines.dropFirst().first == "  Rule: \(rules)", "\(statement): \(lines)")
                for shard in 1...4 { #expect(lines.count { $0.trimming.hasPrefix("->  Shard ") && $0.hasSuffix("\(shard)") } == plans, "\(statement): \(lines)") }
                #expect(!lines.contains { $0.contains("cost=") || $0.contains("actual") }, "\(lines)")
                #expect(!rules.contains("merge-ordered") || lines.contains { $0.contains("Merge: ") }, "\(lines)")
                #expect(lines.contains { $0.contains("Combine on ") } == (rules.contains("combined") || rules.hasSuffix(", ordered")), "\(lines)")
                if rules == "finished" { #expect(lines.contains { $0.contains("planned over empty tables") } && lines.contains { $0.contains("pgmosaic_f1") }, "\(lines)") }
                let costs = try await Self.rows(router, "EXPLAIN " + statement)
                #expect(costs.count { $0.contains("cost=") } >= 4 * plans, "\(costs)")
            }
            #expect(try await Self.rows(router, "SELECT count(*), sum(n) FROM a") == before)
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func whatRunsCountsItsRows() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for (statement, rules, _) in Self.statements where statement.hasPrefix("SELECT") {
                let lines = try await Self.rows(router, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + statement)
                let expected = try await AcrossForm.simple.run(plain, statement).rows.count
                // Parts of groups are more than the groups.
                if !rules.contains("-combined"), !rules.contains("ordered") { #expect(lines[0].hasSuffix("(actual rows=\(expected))"), "\(statement): \(expected), \(lines)") }
                let shards = lines.filter { $0.contains("->  Shard ") }
                #expect(shards.allSatisfy { $0.contains("(actual rows=") }, "\(lines)")
                #expect(lines.count { $0.contains("(actual rows=") } >= 8, "\(lines)")
            }
            let timed = try await Self.rows(router, "EXPLAIN ANALYZE SELECT k FROM a")
            #expect(timed.contains { $0.contains(/->  Shard .*\(actual time=[0-9]+\.[0-9]{3} rows=[0-9]+\)/) }, "\(timed)")
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    /// ANALYZE of a write writes, in its transaction.
    @Test func whatIsAnalyzedIsDone() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for statement in ["UPDATE a SET n = n + 10 WHERE n = 2", "DELETE FROM b USING ref WHERE ref.n = b.no", "UPDATE a SET m = 0 WHERE n > 3 RETURNING k"] {
                for client in [router, plain] {
                    try await client.execute("BEGIN")
                    try await client.execute("EXPLAIN ANALYZE " + statement)
                    try await client.execute("ROLLBACK")
                    _ = try await client.query("EXPLAIN (ANALYZE, FORMAT JSON) " + statement)
                }
                for table in ["a", "b"] {
                    let query = "SELECT * FROM \(table) ORDER BY k, n\(table == "a" ? "" : "o")"
                    let answer = try await AcrossForm.simple.run(router, query), expected = try await AcrossForm.simple.run(plain, query)
                    #expect(answer == expected, "\(statement)")
                }
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func oneDocumentHoldsTheShardsDocuments() async throws {
        try await FinisherTests.withBoth { _, router, _ in
            for (statement, rules, plans) in Self.statements {
                let result = try await router.query("EXPLAIN (FORMAT JSON) " + statement)
                #expect(result.columns.map(\.typeOID) == [114] && result.rows.count == 1)
                let text = Self.texts(result).joined()
                let document = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
                let root = try #require(document.first?["Plan"] as? [String: Any])
                #expect(root["Rule"] as? String == rules)
                var found = 0
                func count(_ node: [String: Any]) {
                    if (node["Node Type"] as? String)?.hasPrefix("Shard ") == true, let own = node["Explain"] as? [[String: Any]], own.first?["Plan"] != nil { found += 1 }
                    for child in node["Plans"] as? [[String: Any]] ?? [] { count(child) }
                }
                count(root)
                #expect(found == 4 * plans, "\(text)")
            }
        }
    }

    @Test func parametersAndErrorsAreTheStatements() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for statement in ["SELECT k FROM a WHERE k > $1::bigint", "SELECT n, count(*) FROM a WHERE k > $1::bigint GROUP BY n", "SELECT n, count(DISTINCT s) FROM a WHERE k > $1::bigint GROUP BY n", "DELETE FROM a WHERE m = 77 AND k > $1::bigint"] {
                let lines = Self.texts(try await router.query("EXPLAIN (ANALYZE, COSTS OFF) " + statement, ["50"]))
                #expect(lines.count > 8, "\(lines)")
            }
            for statement in [
                "EXPLAIN SELECT nothing FROM a", "EXPLAIN ANALYZE SELECT 1 / (k - 5) FROM a", "EXPLAIN ANALYZE SELECT sum(1 / (k - 5)) OVER () FROM a", "EXPLAIN (NONSENSE) SELECT k FROM a", "EXPLAIN (FORMAT nonsense) SELECT k FROM a",
                "EXPLAIN (TIMING) SELECT count(DISTINCT n) FROM a", "EXPLAIN ANALYZE UPDATE a SET n = 1 / (k - 5)",
            ] {
                for form in AcrossForm.allCases {
                    let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                    #expect(expected.sqlState != nil && answer.sqlState == expected.sqlState, "\(form): \(statement): \(answer.sqlState ?? "") instead of \(expected.sqlState ?? "")")
                }
            }
            for statement in ["EXPLAIN (FORMAT XML) SELECT k FROM a", "EXPLAIN (FORMAT yaml) DELETE FROM a"] {
                #expect(try await AcrossForm.simple.run(router, statement).refusal == "PGM-EXPLAIN-FORMAT")
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func inATransactionItGoesOn() async throws {
        try await FinisherTests.withBoth { cluster, router, _ in
            try await router.execute("BEGIN")
            try await router.execute("INSERT INTO a VALUES (1000, 1, 7, 'new'), (1001, 1, 7, 'new')")
            for (statement, _, _) in Self.statements where statement.hasPrefix("SELECT") {
                for form in AcrossForm.allCases { #expect(try await form.run(router, "EXPLAIN ANALYZE " + statement).sqlState == nil, "\(statement)") }
            }
            #expect(try await Self.rows(router, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT k FROM a WHERE s = 'new'").first?.hasSuffix("(actual rows=2)") == true)
            try await router.execute("ROLLBACK")
            #expect(try await Self.rows(router, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT k FROM a WHERE s = 'new'").first?.hasSuffix("(actual rows=0)") == true)
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    private static func rows(_ client: PGClient, _ sql: String) async throws -> [String] { try await client.execute(sql).first.map(texts) ?? [] }

    private static func texts(_ result: PGResult) -> [String] { FinisherTests.rows(result) }
}

extension String {
    fileprivate var trimming: String { String(drop { $0 == " " }) }
}
