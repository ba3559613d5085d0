import RoutePlanning
import ShardModel
import Testing

/// SELECTs without a key: what a rule accepts goes to every shard, and nothing else does.
@Suite struct GatherRoutingTests {
    private static let rows = "rows rows-of-anchor"
    private static let groups = "rows groups-by-key"
    /// Without a collation under which texts of different bytes can be equal.
    private static let context: PlanningContext = {
        var schema = Fixture.schema
        schema.nondeterministicCollations = []
        return Fixture.context(schema: schema)
    }()

    @Test(arguments: [
        Routing("SELECT * FROM orders", rows),
        Routing("SELECT id, total + 1, upper(note) FROM orders o WHERE total > $1 OR note LIKE 'a%'", rows),
        Routing("SELECT * FROM orders WHERE customer_id IN (SELECT customer_id FROM items WHERE qty > 3)", rows),
        Routing("SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM items i WHERE i.customer_id = o.customer_id AND i.order_id = o.id)", rows),
        Routing("SELECT o.id, (SELECT count(*) FROM items i WHERE i.customer_id = o.customer_id) FROM orders o", rows),
        Routing("SELECT o.id, i.qty FROM orders o JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id", rows),
        Routing("SELECT o.id, i.qty FROM orders o, items i WHERE i.customer_id = o.customer_id", rows),
        Routing("SELECT o.id, i.qty FROM orders o LEFT JOIN items i USING (customer_id)", rows),
        Routing("SELECT o.id, i.qty FROM orders o RIGHT JOIN items i USING (customer_id)", rows),
        Routing("SELECT c.name, o.id, p.name FROM customers c JOIN orders o ON o.customer_id = c.id LEFT JOIN products p ON p.id = o.id", rows),
        Routing("SELECT p.name, o.id FROM products p JOIN orders o ON o.id = p.id", rows),
        Routing("SELECT o.id, g FROM orders o, generate_series(1, 3) g", rows),
        Routing("WITH big AS (SELECT * FROM orders WHERE total > 5) SELECT id FROM big", rows),
        Routing("SELECT s.n FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) s WHERE s.n > 2", rows),
        Routing("SELECT unnest(tags) FROM orders", rows),
        Routing("SELECT * FROM parts", rows), Routing("SELECT * FROM docs WHERE body IS NULL", rows),
        Routing("SELECT FROM orders", rows),
    ])
    func rowsOfOneTableAndWhatIsJoinedToThemByTheKey(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("SELECT customer_id, count(*), sum(total), string_agg(note, ',' ORDER BY id) FROM orders GROUP BY customer_id", groups),
        Routing("SELECT note, customer_id, avg(total) FROM orders GROUP BY note, customer_id HAVING count(*) > 1", groups),
        Routing("SELECT count(*), customer_id FROM orders GROUP BY 2", groups),
        Routing("SELECT count(*) FROM orders o JOIN items i USING (customer_id) GROUP BY o.customer_id", groups),
        Routing("SELECT customer_id FROM orders GROUP BY customer_id HAVING customer_id = 1", groups),
        Routing("SELECT DISTINCT customer_id, note FROM orders", rows + ", distinct-with-key"), Routing("SELECT DISTINCT * FROM orders", rows + ", distinct-with-key"),
        Routing("SELECT customer_id, count(*) FROM orders GROUP BY ROLLUP (customer_id)", "rows finished"),
        Routing("SELECT customer_id, count(*) FROM orders GROUP BY GROUPING SETS ((customer_id), ())", "rows finished"),
        Routing("SELECT customer_id + 1, count(*) FROM orders GROUP BY customer_id + 1", "rows finished"),
        // The name is a column's before it is the select list's.
        Routing("SELECT note AS total, customer_id AS id, count(*) FROM orders GROUP BY total, id", "rows finished"),
        Routing("SELECT DISTINCT ON (customer_id) * FROM orders", "rows finished"),
        // The key of the side that is filled up: its NULLs are one group.
        Routing("SELECT i.customer_id, count(*) FROM orders o LEFT JOIN items i USING (customer_id) GROUP BY i.customer_id", "rows groups-combined"),
    ])
    func groupsStayWithTheirKey(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types, in: Self.context) == line.route)
    }

    @Test(arguments: [
        Routing("SELECT count(*) FROM orders", "rows aggregates-combined"),
        Routing("SELECT count(*), count(note) AS n, sum(total), min(placed_at), max(total) FILTER (WHERE id > 3), bool_or(total > 1), every(id > 0) FROM orders WHERE total > $1", "rows aggregates-combined"),
        Routing("SELECT count(*) FROM orders o JOIN items i USING (customer_id)", "rows aggregates-combined"),
        Routing("SELECT count(*) FROM orders LIMIT 1", "rows aggregates-combined, ordered"),
        Routing("SELECT note, count(*) FROM orders GROUP BY note", "rows groups-combined"), Routing("SELECT count(*), note FROM orders GROUP BY 2", "rows groups-combined"),
        Routing("SELECT note, upper(note), count(*) FROM orders GROUP BY 1, 2", "rows groups-combined"), Routing("SELECT o.note FROM orders o GROUP BY o.note", "rows groups-combined"),
        Routing("SELECT note, sum(total) AS s FROM orders GROUP BY note ORDER BY s DESC NULLS LAST, 1 LIMIT 5 OFFSET 2", "rows groups-combined, ordered"),
        Routing("SELECT DISTINCT note FROM orders", "rows distinct-combined"), Routing("SELECT DISTINCT customer_id + 0 FROM orders", "rows distinct-combined"),
        Routing("SELECT DISTINCT note FROM orders ORDER BY note COLLATE \"C\" LIMIT 3", "rows distinct-combined, ordered"),
        Routing("SELECT * FROM orders ORDER BY id", "rows rows-of-anchor, merge-ordered"), Routing("SELECT * FROM orders LIMIT 5", "rows rows-of-anchor, merge-ordered"),
        Routing("SELECT * FROM orders OFFSET 5", "rows rows-of-anchor, merge-ordered"), Routing("SELECT id FROM orders ORDER BY id LIMIT $1", "rows rows-of-anchor, merge-ordered"),
        Routing("SELECT o.id, o.total AS t FROM orders o ORDER BY t DESC, o.id LIMIT 7 OFFSET 3;", "rows rows-of-anchor, merge-ordered"),
        Routing("SELECT customer_id, avg(total) AS a FROM orders GROUP BY customer_id HAVING count(*) > 1 ORDER BY a LIMIT 3", "rows groups-by-key, ordered"),
        Routing("SELECT avg(total), avg(id) FILTER (WHERE total > 1) AS m FROM orders", "rows aggregates-combined"),
        Routing("SELECT note FROM orders GROUP BY note ORDER BY count(*) DESC, avg(total) LIMIT 3", "rows groups-combined, ordered"),
        Routing("SELECT note, sum(total) FROM orders GROUP BY note, id", "rows groups-combined"),
        Routing("SELECT note FROM orders ORDER BY id", "rows rows-of-anchor, merge-ordered"), Routing("SELECT * FROM orders o ORDER BY upper(o.note), o.id", "rows rows-of-anchor, ordered"),
        Routing("SELECT customer_id FROM orders GROUP BY customer_id ORDER BY count(*)", "rows groups-by-key, ordered"),
        Routing("SELECT id AS note, note AS x FROM orders ORDER BY note COLLATE \"C\" DESC, total", "rows rows-of-anchor, merge-ordered"),
        Routing("SELECT upper(note) AS big, count(*) FROM orders GROUP BY big ORDER BY big", "rows groups-combined, ordered"),
        Routing("SELECT note AS total, total AS t, count(*) FROM orders GROUP BY note, total", "rows groups-combined"),
        Routing("SELECT * FROM orders LIMIT ALL", "rows rows-of-anchor"), Routing("SELECT * FROM orders LIMIT NULL OFFSET NULL", "rows rows-of-anchor"),
        Routing("SELECT * FROM orders FETCH FIRST 2 ROWS ONLY", "rows rows-of-anchor, merge-ordered"), Routing("SELECT * FROM orders OFFSET 5 ROWS", "rows rows-of-anchor, merge-ordered"),
        Routing("SELECT * FROM orders LIMIT /* no more */ 5 OFFSET 2", "rows rows-of-anchor, merge-ordered"), Routing("SELECT * FROM orders LIMIT $1 OFFSET $2", "rows rows-of-anchor, merge-ordered"),
        Routing("SELECT note, count(*) FROM orders GROUP BY note LIMIT $1", "rows groups-combined, ordered"),
        Routing("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM items i WHERE i.customer_id = o.customer_id) ORDER BY id LIMIT 3", "rows rows-of-anchor, merge-ordered"),
    ])
    func partsAreCombined(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types, in: Self.context) == line.route)
    }

    @Test(arguments: [
        ("SELECT id FROM orders ORDER BY id LIMIT 5", nil), ("SELECT id FROM orders ORDER BY id LIMIT 5 OFFSET 20", "SELECT id FROM orders ORDER BY id LIMIT 25 OFFSET 0"),
        ("SELECT id FROM orders offset 20 limit 5;", "SELECT id FROM orders offset 0 limit 25;"), ("SELECT id FROM orders OFFSET 7", "SELECT id FROM orders OFFSET 0"),
        ("SELECT note, count(*) FROM orders GROUP BY 1 ORDER BY 2 LIMIT 5 OFFSET 1", "SELECT note, count(*) FROM orders GROUP BY 1 ORDER BY 2 LIMIT (NULL) OFFSET 0"),
        ("SELECT DISTINCT note FROM orders LIMIT 2 OFFSET 1", "SELECT DISTINCT note FROM orders LIMIT 3 OFFSET 0"), ("SELECT count(*) FROM orders LIMIT 0", "SELECT count(*) FROM orders LIMIT (NULL)"),
        ("SELECT id FROM orders OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY", "SELECT id FROM orders OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY"), ("SELECT id FROM orders LIMIT $1", nil),
        ("SELECT avg(total), note FROM orders GROUP BY 2 ORDER BY 1, count(*)", "SELECT pg_catalog.count(total) AS pgmosaic_1, count(*) AS pgmosaic_2, pg_catalog.sum(total) AS avg, note FROM orders GROUP BY 4 ORDER BY 3, count(*)"),
        ("SELECT note FROM orders o ORDER BY upper(note), o.id LIMIT 4", "SELECT upper(note) AS pgmosaic_1, \"o\".\"id\" AS pgmosaic_2, note FROM orders o ORDER BY upper(note), o.id LIMIT 4"),
        ("SELECT count(*) FROM orders GROUP BY note", "SELECT \"note\" AS pgmosaic_1, count(*) FROM orders GROUP BY note"),
        ("SELECT id FROM orders OFFSET $1", "SELECT id FROM orders OFFSET (0 OPERATOR(pg_catalog.*) $1::pg_catalog.int8)"),
    ] as [(String, String?)])
    func eachShardIsAskedForAllThatMayBeAmongTheFirst(_ sql: String, _ part: String?) throws {
        guard case .gatherRows(let gather) = try Fixture.plan(sql, in: Self.context).route, let combination = gather.combination else {
            Issue.record("not combined")
            return
        }
        #expect(combination.partText.map { String(decoding: $0, as: UTF8.self) } == part)
    }

    @Test func theCombiningStatementIsPostgreSQLsOwn() throws {
        func statement(_ sql: String, _ types: [UInt32]) throws -> String? {
            guard case .gatherRows(let gather) = try Fixture.plan(sql, in: Self.context).route else { return nil }
            return gather.combination?.statement(types: types)
        }
        #expect(try statement("SELECT count(*) FROM orders", [20]) == "SELECT pg_catalog.sum(f1)::pg_catalog.int8 FROM pg_catalog.unnest($1) AS f(f1)")
        let averages = "SELECT note, avg(total) FROM orders GROUP BY note ORDER BY count(*) DESC, 2"
        #expect(
            try statement(averages, [25, 1186, 20, 20])
                == "SELECT f1, pg_catalog.sum(f2) OPERATOR(pg_catalog./) pg_catalog.sum(f3)::pg_catalog.float8 FROM unnest($1, $2, $3, $4) AS f(f1, f2, f3, f4) GROUP BY f1 "
                + "ORDER BY pg_catalog.sum(f4)::pg_catalog.int8 DESC, 2")
        #expect(try statement(averages, [25, 701, 20, 20]) == nil)
        let hidden = "SELECT id FROM orders ORDER BY total NULLS FIRST"
        #expect(try statement(hidden, [20, 1700]) == "SELECT f1 FROM unnest($1, $2) AS f(f1, f2) ORDER BY f2 NULLS FIRST")
        let byText = "SELECT note FROM orders ORDER BY note"
        #expect(try statement(byText, [25]) == "SELECT f1 FROM pg_catalog.unnest($1) AS f(f1) ORDER BY 1")
        let grouped = "SELECT note, sum(total), max(total) FROM orders GROUP BY note ORDER BY 2 DESC, note COLLATE \"C\" LIMIT 3 OFFSET 1"
        #expect(
            try statement(grouped, [25, 1700, 1700])
                == "SELECT f1, pg_catalog.sum(f2), pg_catalog.max(f3) FROM unnest($1, $2, $3) AS f(f1, f2, f3) GROUP BY f1 ORDER BY 2 DESC, f1 COLLATE pg_catalog.\"C\" LIMIT 3 OFFSET 1")
        // Floating point sums, least texts, orders by an unknown collation, types without a rule.
        for (sql, types) in [
            ("SELECT sum(total) FROM orders", [701]), ("SELECT min(note::name::text) FROM orders", [25]), ("SELECT note FROM orders ORDER BY note COLLATE \"C\"", [23]),
            ("SELECT tags FROM orders ORDER BY 1", [1009]), ("SELECT note, count(*) FROM orders GROUP BY note", [16500, 20]), ("SELECT DISTINCT total FROM orders", [114]),
            ("SELECT id FROM orders LIMIT 2", [20, 20]),
        ] as [(String, [UInt32])] { #expect(try statement(sql, types) == nil, "\(sql)") }
        #expect(try statement("SELECT id FROM orders ORDER BY id LIMIT $2 OFFSET $1", [20]) == "SELECT f1 FROM pg_catalog.unnest($1) AS f(f1) ORDER BY 1 LIMIT $2 OFFSET $3")
    }

    /// What has the database's collation is ordered by it.
    @Test(arguments: [
        ("SELECT note FROM orders ORDER BY note", true), ("SELECT upper(note) || 'x' AS t, total::text FROM orders ORDER BY t", true), ("SELECT note FROM orders ORDER BY note COLLATE \"C\", 1", true),
        ("SELECT o.note, p.name FROM orders o JOIN countries p ON p.code = o.note ORDER BY p.name", true), ("SELECT (ARRAY['x'])[1] AS t FROM orders ORDER BY t", true),
        ("SELECT o.note, p.name FROM orders o JOIN products p ON p.id = o.id ORDER BY o.note", false), ("SELECT note::name AS t FROM orders ORDER BY t", false),
        ("SELECT note COLLATE \"de_DE\" AS t FROM orders ORDER BY t", false), ("SELECT note::mood AS t FROM orders ORDER BY t", false), ("SELECT note::public.text AS t FROM orders ORDER BY t", false),
        ("WITH w AS (SELECT note COLLATE \"C\" AS t, customer_id FROM orders) SELECT t FROM w ORDER BY t", false), ("SELECT t FROM (SELECT note::name AS t, customer_id FROM orders) s ORDER BY t", false),
        ("SELECT name(note) AS t FROM orders ORDER BY t", false), ("SELECT upper((ROW(note)).f1) AS t FROM orders ORDER BY t", false),
    ] as [(String, Bool)])
    func textsAreOrderedByTheDatabasesCollation(_ sql: String, _ isProven: Bool) throws {
        guard case .gatherRows(let gather) = try Fixture.plan(sql).route, let combination = gather.combination else {
            Issue.record("not combined")
            return
        }
        #expect(combination.hasDatabaseCollation == isProven)
        let types = [UInt32](repeating: 25, count: combination.columns.count)
        #expect((combination.refused(types: types) == nil) == isProven)
    }

    @Test(arguments: [
        // One row of all shards' rows.
        "SELECT sum(total) + 1 FROM orders", "SELECT count(DISTINCT note) FROM orders", "SELECT string_agg(note, ',') FROM orders", "SELECT avg(DISTINCT total) FROM orders", "SELECT id FROM orders ORDER BY count(*)", "SELECT 1 FROM orders ORDER BY abs(max(total))",
        "SELECT count(*), 1 FROM orders", "SELECT count(*) FROM orders HAVING count(*) > 1", "SELECT max(total), note FROM orders", "SELECT count(*)::int FROM orders", "SELECT 1 FROM orders HAVING true",
        "SELECT (SELECT sum(o.total)) FROM orders o", "SELECT (SELECT count(*) FILTER (WHERE o.total > 1)) FROM orders o",
        "SELECT (SELECT string_agg(o.note, ',')) FROM orders o", "SELECT CASE WHEN max(total) > 1 THEN 1 END FROM orders",
        // An order, or a part of it.
        "SELECT DISTINCT note FROM orders ORDER BY id", "SELECT id FROM orders ORDER BY rank() OVER ()", "SELECT note FROM orders GROUP BY note ORDER BY id", "SELECT id FROM orders ORDER BY id + 1", "SELECT id FROM orders ORDER BY 2", "SELECT id FROM orders ORDER BY note COLLATE \"C\"",
        "SELECT id FROM orders ORDER BY abs(id + $1)", "SELECT avg(total + $1) FROM orders", "SELECT note FROM orders GROUP BY customer_id, (1, note) ORDER BY max(id)",
        "SELECT * FROM orders LIMIT 2 + 3", "SELECT * FROM orders WHERE id = $1 LIMIT $1", "SELECT id FROM orders LIMIT $1 OFFSET $1", "SELECT id FROM orders LIMIT 5.0", "SELECT id FROM orders LIMIT 10000000000",
        "SELECT note AS n, upper(note) AS n, count(*) FROM orders GROUP BY n", "SELECT coalesce(note, ''), count(*) AS x FROM orders GROUP BY coalesce",
        "SELECT note FROM orders GROUP BY upper(note)", "SELECT sum(total) FROM orders GROUP BY unknown",
        "SELECT id FROM orders ORDER BY id USING <", "SELECT o.*, i.* FROM orders o JOIN items i USING (customer_id) ORDER BY customer_id",
        "SELECT * FROM orders ORDER BY id FETCH FIRST 2 ROWS WITH TIES",
        "SELECT rank() OVER (ORDER BY id) FROM orders", "SELECT count(*) OVER w FROM orders WINDOW w AS ()", "SELECT * FROM orders LIMIT 3 FOR UPDATE",
        // Rows that come from somewhere else.
        "SELECT * FROM products p LEFT JOIN orders o ON o.id = p.id", "SELECT * FROM orders o RIGHT JOIN products p ON o.id = p.id",
        "SELECT * FROM orders o FULL JOIN items i USING (customer_id)", "SELECT * FROM generate_series(1, 3) g LEFT JOIN orders o ON o.id = g",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM orders)", "SELECT * FROM products WHERE id IN (SELECT id FROM orders)",
        "SELECT n FROM (SELECT count(*) AS n FROM orders) s", "SELECT * FROM (SELECT * FROM orders LIMIT 5) s",
        "SELECT * FROM (SELECT customer_id, rank() OVER (ORDER BY id) FROM orders) s",
        // Joins whose rows meet across shards.
        "SELECT * FROM orders o JOIN items i ON i.order_id = o.id", "SELECT * FROM orders o, items i", "SELECT * FROM orders a JOIN orders b ON a.id = b.customer_id",
        "SELECT * FROM orders o WHERE id IN (SELECT order_id FROM items)", "SELECT * FROM orders o WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id)",
        "SELECT o.id, (SELECT count(*) FROM items) FROM orders o", "SELECT * FROM orders o JOIN items i ON i.customer_id = o.customer_id OR true",
        "SELECT * FROM orders o JOIN items i ON i.customer_id = 5", "SELECT * FROM orders o LEFT JOIN items i ON i.customer_id = o.customer_id AND i.order_id IN (SELECT id FROM orders)",
        "SELECT * FROM orders UNION ALL SELECT * FROM orders", "SELECT customer_id FROM orders EXCEPT SELECT customer_id FROM items",
        "WITH RECURSIVE t AS (SELECT id FROM orders UNION SELECT o.id FROM orders o JOIN t ON o.id = t.id) SELECT * FROM t",
        "WITH o AS (SELECT * FROM items) SELECT * FROM orders",
        // What each shard would say otherwise.
        "SELECT random() FROM orders", "SELECT * FROM orders WHERE placed_at < now()", "SELECT * FROM orders WHERE placed_at < current_timestamp",
        "SELECT * FROM orders WHERE placed_at < 'now'", "SELECT * FROM orders WHERE placed_at < 'yesterday'::date", "SELECT ctid FROM orders", "SELECT tableoid FROM orders",
        "SELECT gen_random_uuid(), id FROM orders", "SELECT clock_timestamp(), id FROM orders", "SELECT current_user, id FROM orders",
        "SELECT 'orders'::regclass, id FROM orders", "SELECT id, (SELECT name FROM products LIMIT 1) FROM orders", "SELECT * FROM order_view",
        // Only as a statement of its own.
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders", "DECLARE c SCROLL CURSOR FOR SELECT * FROM orders", "DECLARE c BINARY CURSOR FOR SELECT * FROM orders",
        "DECLARE c CURSOR FOR SELECT * FROM orders FOR UPDATE", "COPY (SELECT * FROM orders) TO STDOUT",
        "DELETE FROM orders WHERE total < (SELECT max(total) FROM orders)",
    ])
    func whatNoRuleAcceptsIsFinishedOrRefused(_ sql: String) {
        #expect(["rows finished", "PGM-NO-KEY", "PGM-MIXED-PLACEMENTS", "PGM-SERVER-FUNCTION"].contains(Fixture.route(sql)), "\(sql): \(Fixture.route(sql))")
    }

    @Test func aTextOfOneShapeDoesNotPlanAnother() throws {
        #expect(try Fixture.plan("SELECT * FROM orders WHERE placed_at < '2026-01-01'").reuse == .text)
    }

    @Test func parametersThatMayBeMomentsAreNamed() throws {
        guard case .gatherRows(let gather) = try Fixture.plan("SELECT * FROM orders WHERE placed_at < $2 AND id = $1 AND total IN ($1, $3) AND note = $4 AND $5::date < '2020-01-01'").route else {
            Issue.record("not gathered")
            return
        }
        // What is compared with a column that holds no date is none.
        #expect(gather.clockParameters == [2, 5])
    }

    @Test func oneShardAnswersByItself() throws {
        var context = Fixture.context()
        context.shardCount = 1
        #expect(Fixture.route("SELECT * FROM orders", in: context) == "home")
    }
}
