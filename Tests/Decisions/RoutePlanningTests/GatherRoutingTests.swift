import RoutePlanning
import ShardModel
import Testing

/// SELECTs without a key: what a rule accepts goes to every shard, and all else stays refused.
@Suite struct GatherRoutingTests {
    private static let rows = "rows rows-of-anchor"
    private static let groups = "rows groups-by-key"

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
        Routing("SELECT note, count(*) FROM orders GROUP BY note", "PGM-NO-KEY"),
        Routing("SELECT count(*), note FROM orders GROUP BY 2", "PGM-NO-KEY"),
        Routing("SELECT customer_id, count(*) FROM orders GROUP BY ROLLUP (customer_id)", "PGM-NO-KEY"),
        Routing("SELECT customer_id, count(*) FROM orders GROUP BY GROUPING SETS ((customer_id), ())", "PGM-NO-KEY"),
        Routing("SELECT customer_id + 1, count(*) FROM orders GROUP BY customer_id + 1", "PGM-NO-KEY"),
        // The name is a column's before it is the select list's.
        Routing("SELECT note AS total, customer_id AS id, count(*) FROM orders GROUP BY total, id", "PGM-NO-KEY"),
        Routing("SELECT DISTINCT note FROM orders", "PGM-NO-KEY"), Routing("SELECT DISTINCT customer_id + 0 FROM orders", "PGM-NO-KEY"),
        Routing("SELECT DISTINCT ON (customer_id) * FROM orders", "PGM-NO-KEY"),
        // The key of the side that is filled up: its NULLs are one group.
        Routing("SELECT i.customer_id, count(*) FROM orders o LEFT JOIN items i USING (customer_id) GROUP BY i.customer_id", "PGM-NO-KEY"),
    ])
    func groupsStayWithTheirKey(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        // One row of all shards' rows.
        "SELECT count(*) FROM orders", "SELECT max(total) FROM orders", "SELECT sum(total) + 1 FROM orders", "SELECT 1 FROM orders HAVING true",
        "SELECT (SELECT sum(o.total)) FROM orders o", "SELECT (SELECT count(*) FILTER (WHERE o.total > 1)) FROM orders o",
        "SELECT (SELECT string_agg(o.note, ',')) FROM orders o", "SELECT CASE WHEN max(total) > 1 THEN 1 END FROM orders",
        // An order, or a part of it.
        "SELECT * FROM orders ORDER BY id", "SELECT * FROM orders LIMIT 5", "SELECT * FROM orders OFFSET 5", "SELECT * FROM orders ORDER BY id FETCH FIRST 2 ROWS WITH TIES",
        "SELECT rank() OVER (ORDER BY id) FROM orders", "SELECT count(*) OVER w FROM orders WINDOW w AS ()", "SELECT * FROM orders FOR UPDATE",
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
        "EXPLAIN SELECT * FROM orders", "DECLARE c CURSOR FOR SELECT * FROM orders", "COPY (SELECT * FROM orders) TO STDOUT",
        "INSERT INTO settings SELECT note, note FROM orders", "DELETE FROM orders", "UPDATE orders SET total = 1 WHERE total = 2",
    ])
    func whatNoRuleAcceptsStaysRefused(_ sql: String) {
        #expect(["PGM-NO-KEY", "PGM-MIXED-PLACEMENTS", "PGM-SERVER-FUNCTION"].contains(Fixture.route(sql)), "\(sql): \(Fixture.route(sql))")
    }

    @Test func aTextOfOneShapeDoesNotPlanAnother() throws {
        #expect(try Fixture.plan("SELECT * FROM orders WHERE placed_at < '2026-01-01'").reuse == .text)
    }

    @Test func parametersThatMayBeMomentsAreNamed() throws {
        guard case .gatherRows(let gather) = try Fixture.plan("SELECT * FROM orders WHERE placed_at < $2 AND id = $1 AND total IN ($1, $3)").route else {
            Issue.record("not gathered")
            return
        }
        #expect(gather.clockParameters == [1, 2, 3])
    }

    @Test func oneShardAnswersByItself() throws {
        var context = Fixture.context()
        context.shardCount = 1
        #expect(Fixture.route("SELECT * FROM orders", in: context) == "home")
    }
}
