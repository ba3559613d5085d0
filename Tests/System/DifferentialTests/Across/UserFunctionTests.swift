import ClusterTestKit
import PGChannel
import Testing

/// Functions and aggregates of a user's that are IMMUTABLE, over all shards and on one plain PostgreSQL; others are refused.
@Suite struct UserFunctionTests {
    private static let definitions = [
        "CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x * 2'",
        "CREATE FUNCTION slug(t text, VARIADIC more text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN lower(t) || array_to_string(more, '-'); END$$",
        "CREATE FUNCTION upto(n int) RETURNS SETOF int LANGUAGE sql IMMUTABLE AS 'SELECT generate_series(1, n)'",
        "CREATE AGGREGATE product(int) (sfunc = int4mul, stype = int, initcond = '1')",
        "CREATE SCHEMA lib", "CREATE FUNCTION lib.half(x int) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT x / 2.0'",
        "CREATE FUNCTION told() RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int FROM a'", "CREATE FUNCTION add_told(x int, y int) RETURNS int LANGUAGE sql STABLE AS 'SELECT x + told()'",
        "CREATE AGGREGATE counted(int) (sfunc = add_told, stype = int, initcond = '0')",
    ]

    private static let answered = [
        "SELECT k, twice(n) FROM a WHERE k = 5", "SELECT k, twice(n) FROM a", "SELECT k FROM a WHERE twice(n) > 3 ORDER BY k", "SELECT twice(n), count(*) FROM a GROUP BY 1 ORDER BY 1", "SELECT twice(n) AS t, sum(m) FROM a GROUP BY t HAVING count(*) > twice(1)",
        "SELECT k, slug(s, 'x', 'y') FROM a ORDER BY slug(s, 'x', 'y'), k LIMIT 7", "SELECT n, product((k % 3 + 1)::int) FROM a WHERE k < 20 GROUP BY n ORDER BY n", "SELECT product(n) FROM a WHERE k < 9", "SELECT product(twice(no)) FROM b WHERE k = 3",
        "SELECT sum(product) FROM (SELECT k, product(no) FROM b GROUP BY k) x", "SELECT a.k, g FROM a, upto(a.n) g WHERE a.k < 9", "SELECT k, upto(2) FROM a WHERE k < 5", "SELECT * FROM upto(3)", "SELECT k, product(n) OVER (PARTITION BY s ORDER BY k) FROM a WHERE k < 12",
        "SELECT lib.half(n), count(*) FROM a GROUP BY lib.half(n)", "SELECT max(lib.half(k::int)) FROM a", "SELECT x.k FROM a x JOIN a y ON twice(x.n) = y.n WHERE x.k < 6 AND y.k < 30", "SELECT DISTINCT twice(n) FROM a", "SELECT twice(3), slug('A', 'b')",
        "SELECT k FROM a WHERE k = twice(2) ORDER BY k", "SELECT count(*) FROM a WHERE slug(s, '') IN (SELECT slug(t, '') FROM b)",
    ]

    private static let refused = [
        "SELECT told()", "SELECT k, told() FROM a WHERE k = 5", "SELECT counted(n) FROM a", "SELECT counted(no) FROM b WHERE k = 3", "SELECT max(told()) FROM a", "UPDATE a SET n = told() WHERE k = 5",
    ]

    private static let writes = [
        "UPDATE a SET n = twice(n) WHERE twice(n) > 2", "UPDATE a SET s = slug(s, 'z') WHERE k = 7", "INSERT INTO few (k, v) SELECT k, twice(n) FROM a WHERE k > 110", "DELETE FROM few WHERE twice((k % 1000)::int) > 5", "UPDATE ref SET name = slug(name, 'r')",
    ]

    @Test func thoseThatLookAtTheirArgumentsOnlyAreUsedEverywhere() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for definition in Self.definitions {
                _ = try await plain.execute(definition)
                _ = try await router.execute(definition)
            }
            for form in AcrossForm.allCases {
                for statement in Self.answered {
                    let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                    #expect(expected.sqlState == nil, "\(statement): \(expected.sqlState ?? "")")
                    #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(form): \(statement): \(answer.refusal ?? answer.sqlState ?? "")")
                }
                for statement in Self.refused {
                    #expect(try await form.run(router, statement).refusal == "PGM-USER-FUNCTION", "\(form): \(statement)")
                }
            }
            for statement in Self.writes {
                let expected = try await AcrossForm.simple.run(plain, statement), answer = try await AcrossForm.simple.run(router, statement)
                #expect(expected.sqlState == nil && answer.tag == expected.tag, "\(statement): \(answer.refusal ?? answer.sqlState ?? "")")
            }
            for table in ["a", "few", "ref"] {
                let statement = "SELECT * FROM \(table)"
                let expected = try await AcrossForm.simple.run(plain, statement), answer = try await AcrossForm.simple.run(router, statement)
                #expect(answer.rows == expected.rows, "\(table)")
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }
}
