import ClusterTestKit
import NIOCore
import PGChannel
import PGWire
import Testing

/// `COPY (query) TO STDOUT` over several shards, and the same on one plain PostgreSQL: the same bytes.
@Suite struct CopyQueryTests {
    private static let queries = [
        "SELECT * FROM a", "SELECT k, s FROM a WHERE n > 1 ORDER BY k", "SELECT n, count(*), sum(m) FROM a GROUP BY n ORDER BY n", "SELECT count(DISTINCT n) FROM a HAVING count(*) > 3",
        "SELECT a.k, b.t FROM a JOIN b ON a.n = b.no ORDER BY 1, 2", "SELECT s FROM a UNION SELECT t FROM b ORDER BY 1", "TABLE few", "SELECT * FROM none", "SELECT k, u, ts, iv, j FROM odd ORDER BY k LIMIT 5",
        "SELECT k FROM a WHERE k IN (1, 2, 3, 4, 5, 6) ORDER BY k", "SELECT p.name, x.k FROM a x LEFT JOIN ref p ON p.n = x.n ORDER BY x.k", "SELECT k, rank() OVER (ORDER BY m, k) FROM a ORDER BY 2",
    ]
    private static let forms = [
        "", "(FORMAT csv, HEADER)", "(FORMAT binary)", "(DELIMITER '|', NULL 'nil')", "CSV FORCE QUOTE *", "(ENCODING 'LATIN1')", "(FORMAT csv, QUOTE '''', ESCAPE '\\')",
    ]

    @Test func everyQueryInEveryFormIsOnePostgreSQLsCopy() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            let both = CopyPair(router: router, plain: plain)
            for query in Self.queries {
                for form in Self.forms {
                    let sql = "COPY (\(query)) TO STDOUT \(form)"
                    try await both.compareOut(sql)
                    guard query.contains("ORDER BY") else { continue }
                    let expected = try await CopyPair.copyOut(plain, sql).get(), found = try await CopyPair.copyOut(router, sql).get()
                    #expect(found == expected, "\(sql)")
                }
            }
            for sql in ["COPY (SELECT 1 / (k - 5) FROM a) TO STDOUT", "COPY (SELECT nothing FROM a) TO STDOUT", "COPY (SELECT k FROM a) TO STDOUT (FORMAT nonsense)"] { try await both.compareOut(sql) }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func inATransactionItSeesItsOwnRows() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            let both = CopyPair(router: router, plain: plain)
            for statement in ["BEGIN", "INSERT INTO a VALUES (1000, 1, 7, 'new'), (1001, 1, 7, 'new'), (1002, 1, 7, 'new')", "SET LOCAL DateStyle = 'German'"] { try await both.execute(statement) }
            for query in Self.queries { try await both.compareOut("COPY (\(query)) TO STDOUT (FORMAT csv, HEADER)") }
            try await both.compareOut("COPY (SELECT k, s FROM a WHERE s = 'new') TO STDOUT")
            try await both.execute("ROLLBACK")
            try await both.compareOut("COPY (SELECT k, s FROM a WHERE s = 'new') TO STDOUT")
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func whatCannotBeFinishedIsRefused() async throws {
        try await FinisherTests.withBoth { _, router, _ in
            for query in ["SELECT ctid FROM a", "SELECT k FROM a FOR UPDATE", "DELETE FROM a RETURNING k", "SELECT a FROM a", "SELECT count(DISTINCT n), current_user FROM a"] {
                let found = try await CopyPair.copyOut(router, "COPY (\(query)) TO STDOUT")
                guard case .failure(let failure) = found else {
                    Issue.record("\(query) is copied")
                    continue
                }
                #expect(failure.detail?.hasPrefix("PGM-NO-KEY") == true, "\(query): \(failure)")
            }
        }
    }
}
