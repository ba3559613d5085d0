import RoutePlanning
import ShardModel
import Testing

/// UPDATE and DELETE without a key: what a rule accepts runs on every shard, and all else stays refused.
@Suite struct EveryKeyTests {
    @Test(arguments: [
        Routing("UPDATE orders SET total = 1", "every key rows-alone"), Routing("DELETE FROM orders", "every key rows-alone"),
        Routing("UPDATE orders o SET total = total + $1, note = upper(note) WHERE o.id = $2 OR note IS NULL RETURNING o.*", "every key rows-alone"),
        Routing("DELETE FROM orders WHERE customer_id = 5 OR id = 1", "every key rows-alone"), Routing("DELETE FROM ONLY parts WHERE x > 1", "every key rows-alone"),
        Routing("DELETE FROM orders WHERE customer_id > 5 AND customer_id < 9", "every key rows-alone"), Routing("DELETE FROM parts_1", "every key rows-alone"),
        // Of the moment, or another value for each row: so it is with lists of keys.
        Routing("UPDATE orders SET placed_at = now() WHERE placed_at < CURRENT_DATE - 7", "every key rows-alone"),
        Routing("UPDATE orders SET note = gen_random_uuid()::text WHERE random() < 0.5", "every key rows-alone"),
        Routing("UPDATE orders SET note = 'now' WHERE note = 'call today'", "every key rows-alone"), Routing("UPDATE orders SET (total, note) = (1, 'x')", "every key rows-alone"),
    ])
    func oneTableIsWrittenRowByRow(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        "UPDATE orders o SET total = i.qty FROM items i WHERE i.customer_id = o.customer_id AND i.order_id = o.id",
        "UPDATE orders o SET total = (SELECT sum(qty) FROM items i WHERE i.customer_id = o.customer_id AND i.order_id = o.id)",
        "DELETE FROM orders o USING items i WHERE i.customer_id = o.customer_id AND i.qty = 0 RETURNING o.id, i.qty",
        "DELETE FROM orders o WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.customer_id = o.customer_id AND i.order_id = o.id)",
        "DELETE FROM orders WHERE customer_id IN (SELECT customer_id FROM items WHERE qty > 3)",
        "DELETE FROM orders a USING orders b WHERE a.customer_id = b.customer_id AND a.note = b.note AND a.id > b.id",
        "UPDATE orders SET total = p.price FROM products p WHERE p.id = orders.id", "UPDATE orders SET total = (SELECT max(price) FROM products)",
        "UPDATE orders SET note = (SELECT name FROM products WHERE products.id = orders.id) WHERE total > $1",
        "WITH cheap AS (SELECT id FROM products WHERE price < 3) DELETE FROM orders USING cheap WHERE cheap.id = orders.id",
        "UPDATE orders SET placed_at = now() FROM products p WHERE p.id = orders.id", "DELETE FROM orders USING items i WHERE i.customer_id = orders.customer_id AND placed_at < CURRENT_DATE",
        "UPDATE orders o SET note = c.name FROM customers c WHERE c.id = o.customer_id", "UPDATE orders SET total = g FROM generate_series(1, 3) g WHERE g = id",
    ])
    func otherTablesAreOfTheSameKeyOrOnEveryShard(_ sql: String) {
        #expect(Fixture.route(sql) == "every key rows-of-target")
    }

    @Test(arguments: [
        "INSERT INTO items SELECT id, customer_id FROM orders", "INSERT INTO items (order_id, customer_id, qty) SELECT id, customer_id, total::int FROM orders WHERE total > $1 RETURNING order_id",
        "INSERT INTO loose SELECT customer_id, sum(qty) FROM items GROUP BY customer_id HAVING count(*) > 1", "INSERT INTO loose SELECT DISTINCT customer_id, qty FROM items",
        "INSERT INTO items (order_id, customer_id, qty) SELECT id, customer_id, 1 FROM orders ON CONFLICT (customer_id, order_id, product_id) DO UPDATE SET qty = items.qty + excluded.qty",
        "INSERT INTO loose SELECT o.customer_id, p.id FROM orders o JOIN products p ON p.id = o.id", "INSERT INTO orders (id, customer_id, placed_at) SELECT id, customer_id, now() FROM orders",
        "INSERT INTO loose SELECT customer_id, (random() * 9)::int FROM orders", "WITH big AS (SELECT * FROM orders WHERE total > 5) INSERT INTO loose SELECT customer_id, 1 FROM big",
        "INSERT INTO orders (id, customer_id) SELECT order_id, customer_id FROM items", "INSERT INTO loose SELECT k, 1 FROM small",
        "INSERT INTO loose SELECT customer_id, (SELECT count(*) FROM items i WHERE i.customer_id = o.customer_id) FROM orders o",
    ])
    func rowsThatKeepTheirKeyAreInsertedByEachShard(_ sql: String) {
        #expect(Fixture.route(sql) == "every key rows-inserted")
    }

    @Test(arguments: [
        // Another key, or rows that are not one shard's.
        "INSERT INTO orders (id, customer_id) SELECT customer_id, id FROM orders", "INSERT INTO loose SELECT customer_id, 1 FROM orders LIMIT 5", "INSERT INTO loose SELECT max(customer_id), 1 FROM orders",
        "INSERT INTO loose SELECT o.customer_id, 1 FROM orders o JOIN items i ON i.order_id = o.id", "INSERT INTO loose SELECT id, 1 FROM products",
        "INSERT INTO loose SELECT customer_id, 1 FROM orders UNION SELECT customer_id, 2 FROM orders", "INSERT INTO loose SELECT customer_id, rank() OVER (ORDER BY total) FROM orders",
        // One value for all rows, or one of each shard's.
        "INSERT INTO loose SELECT customer_id, (SELECT (random() * 9)::int) FROM orders", "INSERT INTO loose SELECT customer_id, r::int FROM orders, random() r", "INSERT INTO items (order_id, customer_id) SELECT id, customer_id FROM orders WHERE ctid = '(0,1)'",
        "INSERT INTO codes SELECT slug, 1 FROM docs", "INSERT INTO orders (id, customer_id, placed_at) SELECT id, customer_id, 'now' FROM orders",
    ])
    func otherRowsAreNot(_ sql: String) {
        #expect(Fixture.route(sql) != "every key rows-inserted", "\(Fixture.route(sql))")
    }

    /// Proven apart, and read like a table of the same key.
    @Test(arguments: [
        ("WITH gone AS (DELETE FROM items RETURNING customer_id) DELETE FROM orders USING gone WHERE gone.customer_id = orders.customer_id", "rows-of-target"),
        ("WITH d AS (DELETE FROM orders WHERE total < 0 RETURNING *) SELECT * FROM d", "rows-of-target"), ("WITH d AS (UPDATE orders SET total = 1 RETURNING customer_id AS c, id) SELECT d.id, i.qty FROM d JOIN items i ON i.customer_id = d.c", "rows-of-target"),
        ("WITH d AS (DELETE FROM items WHERE qty = 0 RETURNING *) INSERT INTO items SELECT * FROM d", "rows-inserted"), ("WITH d(a, b) AS (DELETE FROM items RETURNING customer_id, qty) INSERT INTO loose (customer_id, x) SELECT a, sum(b) FROM d GROUP BY a", "rows-inserted"),
        ("WITH d AS (DELETE FROM items) UPDATE orders SET total = 1", "rows-of-target"), ("WITH n AS (INSERT INTO loose SELECT customer_id, 1 FROM orders RETURNING customer_id) DELETE FROM orders o USING n WHERE n.customer_id = o.customer_id", "rows-of-target"),
        ("WITH r AS (SELECT id FROM products), d AS (DELETE FROM items RETURNING *) DELETE FROM orders USING d, r WHERE d.customer_id = orders.customer_id AND r.id = d.qty", "rows-of-target"),
    ])
    func aWithQueryThatWritesIsRunOnEveryShard(_ sql: String, _ rule: String) throws {
        #expect(Fixture.route(sql) == "every key \(rule)")
        let plan = try Fixture.plan(sql)
        #expect(plan.writes && !plan.mayReadReplica)
    }

    @Test(arguments: [
        "SELECT * FROM orders FOR UPDATE", "SELECT id FROM orders o WHERE total > $1 FOR NO KEY UPDATE OF o SKIP LOCKED", "SELECT o.id, i.qty FROM orders o JOIN items i USING (customer_id) FOR SHARE",
        "SELECT o.id, p.name FROM orders o JOIN products p ON p.id = o.id FOR UPDATE OF o NOWAIT",
    ])
    func rowsAreLockedOnEveryShard(_ sql: String) throws {
        #expect(Fixture.route(sql) == "every key rows-locked")
        let plan = try Fixture.plan(sql)
        #expect(plan.writes && !plan.mayReadReplica && plan.kind == .select)
    }

    @Test(arguments: [
        ("SELECT * FROM orders ORDER BY id FOR UPDATE", "PGM-NO-KEY"), ("SELECT * FROM orders LIMIT 1 FOR UPDATE", "PGM-NO-KEY"), ("SELECT customer_id FROM orders GROUP BY customer_id FOR UPDATE", "PGM-NO-KEY"),
        ("SELECT * FROM (SELECT * FROM orders FOR UPDATE) o", "PGM-NO-KEY"), ("SELECT o.id FROM orders o JOIN products p ON p.id = o.id FOR UPDATE", "PGM-REFERENCE-LOCK"),
        ("SELECT o.id FROM orders o JOIN items i ON i.order_id = o.id FOR UPDATE", "PGM-NO-KEY"), ("SELECT count(*) FROM orders FOR UPDATE", "PGM-NO-KEY"), ("SELECT DISTINCT customer_id FROM orders FOR UPDATE", "PGM-NO-KEY"),
        ("SELECT id, now() FROM orders FOR UPDATE", "PGM-NO-KEY"),
    ])
    func otherLocksAreRefused(_ sql: String, _ code: String) {
        #expect(Fixture.route(sql) == code)
    }

    @Test(arguments: [
        // Rows of other keys decide.
        "UPDATE orders SET total = (SELECT max(total) FROM orders)", "DELETE FROM orders WHERE total < (SELECT avg(total) FROM orders o)",
        "UPDATE orders o SET total = i.qty FROM items i WHERE i.order_id = o.id", "DELETE FROM orders o USING items i", "DELETE FROM orders WHERE id IN (SELECT order_id FROM items)",
        "DELETE FROM orders WHERE customer_id IN (SELECT customer_id FROM items ORDER BY qty LIMIT 5)", "DELETE FROM orders WHERE EXISTS (SELECT 1 FROM items)",
        "UPDATE orders o SET total = 1 FROM items i LEFT JOIN products p ON p.id = i.product_id WHERE p.id = o.id",
        // Each shard would see another value.
        "DELETE FROM orders WHERE ctid = '(0,1)'", "UPDATE orders SET total = 1 RETURNING tableoid", "UPDATE orders SET note = 'orders'::regclass::text",
        "DELETE FROM orders WHERE (orders).ctid = '(0,1)'", "UPDATE orders SET note = CURRENT_USER", "UPDATE orders SET note = current_setting('port')", "UPDATE orders SET placed_at = DEFAULT",
        "UPDATE orders SET total = (SELECT random())", "UPDATE orders SET total = r FROM random() r", "UPDATE orders SET placed_at = n FROM now() n",
        "UPDATE orders SET placed_at = 'now'", "UPDATE orders SET note = age(placed_at)::text", "UPDATE orders SET total = 1 RETURNING now()::date",
        "UPDATE orders SET note = (SELECT name FROM products LIMIT 1)", "UPDATE orders SET tags = ARRAY(SELECT name FROM products)",
        // A WITH query that writes: its rows of other keys decide, or it does not show its key, or names another, or runs for rows of other keys itself.
        "WITH d AS (DELETE FROM items RETURNING *) UPDATE orders o SET total = (SELECT count(*) FROM d) FROM d WHERE d.customer_id = o.customer_id",
        "WITH d AS (DELETE FROM items RETURNING order_id) DELETE FROM orders USING d WHERE d.order_id = orders.id", "WITH d AS (DELETE FROM items RETURNING customer_id + 0 AS customer_id) DELETE FROM orders USING d WHERE d.customer_id = orders.customer_id",
        "WITH d AS (DELETE FROM items RETURNING *) SELECT count(*) FROM d", "WITH d AS (DELETE FROM items RETURNING *) SELECT 1", "WITH d AS (DELETE FROM items RETURNING *) SELECT * FROM d ORDER BY qty", "WITH d AS (DELETE FROM items RETURNING *) SELECT * FROM d LIMIT 1",
        "WITH d AS (DELETE FROM items WHERE qty < (SELECT avg(qty) FROM items) RETURNING *) INSERT INTO items SELECT * FROM d", "WITH d AS (DELETE FROM items RETURNING *), e AS (DELETE FROM orders USING d WHERE d.customer_id = orders.customer_id RETURNING orders.*) SELECT * FROM e",
        "WITH d AS (DELETE FROM items RETURNING *) SELECT d.* FROM d JOIN d x ON x.order_id = d.order_id", "EXPLAIN DELETE FROM orders WHERE ctid = '(0,1)'",
    ])
    func whatIsNotTheRowsOwnIsRefused(_ sql: String) {
        #expect(["PGM-NO-KEY", "PGM-SERVER-FUNCTION", "PGM-EXPLAIN-ANALYZE"].contains(Fixture.route(sql)), "\(Fixture.route(sql))")
    }

    @Test(arguments: [
        ("UPDATE orders SET customer_id = 6", "PGM-KEY-UPDATE"), ("UPDATE counted SET n = DEFAULT", "PGM-SEQUENCE"), ("DELETE FROM orders WHERE customer_id = NULL", "PGM-KEY-NULL"),
        ("UPDATE orders SET note = value FROM settings", "PGM-MIXED-PLACEMENTS"), ("DELETE FROM order_view", "PGM-VIEW-WRITE"), ("UPDATE orders SET total = my_function()", "PGM-USER-FUNCTION"),
        ("WITH d AS (UPDATE products SET price = 1 RETURNING id) DELETE FROM orders USING d WHERE d.id = orders.id", "PGM-REFERENCE-SOURCE"),
        ("WITH d AS (DELETE FROM items RETURNING *) INSERT INTO loose (customer_id) SELECT order_id FROM d", "PGM-NO-KEY"),
    ])
    func otherReasonsAreToldFirst(_ sql: String, _ code: String) {
        #expect(Fixture.route(sql) == code)
    }

    /// Lists of keys take the same proof.
    @Test(arguments: [
        ("UPDATE orders o SET total = i.qty FROM items i WHERE i.customer_id = o.customer_id AND o.customer_id IN (1, 2)", true),
        ("DELETE FROM orders WHERE customer_id IN (1, 2) AND id IN (SELECT id FROM products)", true), ("UPDATE orders SET total = r FROM random() r WHERE customer_id IN (1, 2)", false),
        ("UPDATE orders SET total = (SELECT random()) WHERE customer_id IN (1, 2)", false), ("UPDATE orders SET total = random() WHERE customer_id IN (1, 2)", true),
        ("DELETE FROM orders USING items i WHERE orders.customer_id IN (1, 2) AND i.customer_id IN (1, 2) AND i.customer_id = orders.customer_id", false),
    ])
    func aListOfKeysIsSpreadByTheSameProof(_ sql: String, _ isSpread: Bool) throws {
        let plan = try Fixture.plan(sql)
        #expect((plan.spread != nil) == isSpread)
        #expect({ if case .keyed = plan.route { true } else { false } }())
    }

    /// A text such as 'now' would be another moment on each shard.
    @Test func parametersThatMayNameTheMomentAreKnown() throws {
        let plan = try Fixture.plan("UPDATE orders SET placed_at = $1, total = $2 FROM products p WHERE p.id = orders.id AND p.name = $3")
        guard case .everyKey(let write) = plan.route else { return #expect(Bool(false), "\(plan.route)") }
        #expect(write.clockParameters == [1] && plan.writes && plan.reuse == .text && !plan.mayReadReplica)
        #expect(try Fixture.plan("UPDATE orders SET placed_at = $1").route == .everyKey(EveryKey(rule: .rowsAlone, clockParameters: [1])))
        #expect(try Fixture.plan("UPDATE orders SET note = $1 WHERE note <> $2").route == .everyKey(EveryKey(rule: .rowsAlone)))
    }

    /// One shard takes it as it is.
    @Test func oneShardIsOnePostgreSQL() {
        var context = Fixture.context()
        context.shardCount = 1
        #expect(Fixture.route("DELETE FROM orders", in: context) == "home")
    }
}
