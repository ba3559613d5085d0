import ShardModel
import RoutePlanning
import Testing

@Suite struct WriteRoutingTests {
    /// Which writes may run on several shards, each for its own rows.
    @Test(arguments: [
        ("INSERT INTO orders (id, customer_id) VALUES (1, 5), (2, 6)", "rows"),
        ("INSERT INTO orders (id, customer_id, total) VALUES (1, 5, random()), ($1, $2, 3) RETURNING id", "rows"),
        ("INSERT INTO orders (id, customer_id) VALUES (1, 5), (2, 6) ON CONFLICT DO NOTHING", "rows"),
        ("INSERT INTO orders (id, customer_id) VALUES (1, 5)", "none"),
        ("INSERT INTO orders (id, customer_id, total) VALUES (1, 5, (SELECT random())), (2, 6, 1)", "none"),
        ("INSERT INTO orders (id, customer_id) VALUES (generate_series(1, 3), 5), (2, 6)", "none"),
        ("INSERT INTO orders (id, customer_id) SELECT id, customer_id FROM orders WHERE customer_id IN (5, 6)", "same text"),
        ("WITH w AS (SELECT 1) INSERT INTO orders (id, customer_id) VALUES (1, 5), (2, 6)", "none"),
        ("UPDATE orders SET total = random() WHERE customer_id IN (5, 6)", "same text"),
        ("UPDATE orders SET total = p.price FROM products p WHERE p.id = orders.id AND customer_id = ANY($1)", "none"),
        ("UPDATE orders SET total = (SELECT max(price) FROM products) WHERE customer_id IN (5, 6) RETURNING *", "same text"),
        ("DELETE FROM orders WHERE customer_id IN (5, 6) AND note LIKE 'a%'", "same text"),
        ("DELETE FROM orders WHERE customer_id IN (5, 6) AND id IN (SELECT id FROM products)", "same text"),
        ("DELETE FROM orders WHERE customer_id IN (5, 6) AND id IN (SELECT id FROM products LIMIT 1)", "none"),
        ("DELETE FROM orders WHERE customer_id IN (5, 6) AND total < (SELECT random())", "none"),
        ("DELETE FROM orders USING items i WHERE i.customer_id = orders.customer_id AND orders.customer_id IN (5, 6)", "same text"),
        ("WITH gone AS (DELETE FROM orders WHERE customer_id IN (5, 6) RETURNING id) SELECT count(*) FROM gone", "none"),
        ("SELECT * FROM orders WHERE customer_id IN (5, 6)", "none"),
        ("SELECT * FROM orders WHERE customer_id IN (5, 6) FOR UPDATE", "none"),
        ("EXPLAIN DELETE FROM orders WHERE customer_id IN (5, 6)", "none"),
    ])
    func writesSpreadWhereEachRowDecidesForItself(_ sql: String, _ expected: String) throws {
        let spread: String
        switch try Fixture.plan(sql).spread {
        case .sameText: spread = "same text"
        case .rows(let keys, let areIndependent):
            spread = "rows"
            #expect(keys.count == 2 && areIndependent != sql.contains("CONFLICT"))
        case nil: spread = "none"
        }
        #expect(spread == expected)
    }

    @Test(arguments: [
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5)", "keyed 5"),
        Routing("INSERT INTO orders VALUES (1, 5, 2.5)", "keyed 5"),
        Routing("INSERT INTO orders VALUES (1)", "PGM-KEY-MISSING"),
        Routing("INSERT INTO orders (id) VALUES (1)", "PGM-KEY-MISSING"),
        Routing("INSERT INTO orders DEFAULT VALUES", "PGM-KEY-MISSING"),
        Routing("INSERT INTO orders (customer_id) VALUES (DEFAULT)", "PGM-KEY-MISSING"),
        Routing("INSERT INTO orders (customer_id) VALUES (NULL)", "PGM-KEY-NULL"),
        Routing("INSERT INTO orders (customer_id) VALUES (1.5)", "PGM-KEY-TYPE"),
        Routing("INSERT INTO orders (customer_id) VALUES (1 + 1)", "every key rows-sent"),
        Routing("INSERT INTO orders (customer_id) VALUES ((SELECT 1))", "every key rows-sent"),
        Routing("INSERT INTO events (tenant) VALUES (gen_random_uuid())", "every key rows-sent"),
        Routing("INSERT INTO events (tenant) VALUES (gen_random_uuid()), (gen_random_uuid())", "keys first"),
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5), (2, 6)", "keyed 5, 6"),
        // An error of PostgreSQL's, which no shard may miss.
        Routing("INSERT INTO orders (id, customer_id, note) VALUES (1, 5, 'x'), (2, 6)", "keyed 5"), Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5), (2), (3, 6, 'x')", "keyed 5"),
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, $1), (2, $1)", "keyed $1"),
        Routing("INSERT INTO orders (id, customer_id) VALUES ($1, $1)", "keyed $1"),
        Routing("INSERT INTO orders (note, customer_id) VALUES ($1, $1)", "PGM-KEY-TYPE"),
        Routing("INSERT INTO orders (total, customer_id) VALUES ((SELECT count(*) FROM items), 5)", "PGM-NO-KEY"),
        Routing("INSERT INTO orders (total, customer_id) VALUES ((SELECT count(*) FROM items WHERE customer_id = 5), 5)", "keyed 5"),
        Routing("INSERT INTO orders (customer_id, numbers[(SELECT count(*) FROM items)]) VALUES (5, 1)", "PGM-NO-KEY"),
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5) ON CONFLICT DO NOTHING", "keyed 5"),
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5) ON CONFLICT (customer_id, id) DO UPDATE SET total = excluded.total", "keyed 5"),
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5) ON CONFLICT (customer_id, id) DO UPDATE SET customer_id = 6", "PGM-KEY-UPDATE"),
        Routing(
            "INSERT INTO orders (id, customer_id) VALUES (1, 5) ON CONFLICT (customer_id, id) DO UPDATE SET total = (SELECT count(*) FROM items)",
            "PGM-NO-KEY"),
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5) RETURNING id", "keyed 5"),
        Routing("INSERT INTO orders (id, customer_id) VALUES (1, 5) RETURNING (SELECT count(*) FROM items)", "PGM-NO-KEY"),
        Routing("INSERT INTO orders (id, customer_id) SELECT id, customer_id FROM orders WHERE customer_id = 5", "keyed 5"),
        Routing("INSERT INTO orders (id, customer_id) SELECT customer_id, id FROM orders WHERE customer_id = 5", "every key rows-sent"),
        Routing("INSERT INTO orders (id, customer_id) SELECT id, 5 FROM products", "keyed 5"),
        Routing("INSERT INTO orders (id, customer_id) SELECT id, id FROM products", "every key rows-sent"),
        Routing("INSERT INTO orders (id, customer_id) SELECT id, id FROM products WHERE id = 5", "keyed 5"),
        Routing("INSERT INTO orders (id, customer_id) SELECT id, id + 1 FROM products WHERE id = 5", "every key rows-sent"),
        Routing("INSERT INTO orders (id, customer_id) SELECT id, price FROM products WHERE price = 5", "every key rows-sent"),
        Routing("INSERT INTO orders (id, customer_id) SELECT 1, 5 UNION ALL SELECT 2, 6", "every key rows-sent"),
        Routing("INSERT INTO loose SELECT 5, 1 FROM products GROUP BY ROLLUP (1)", "every key rows-sent"),
        Routing("INSERT INTO loose SELECT customer_id, 1 FROM orders WHERE customer_id = 5 GROUP BY ROLLUP (customer_id)", "every key rows-sent"),
        Routing(
            "INSERT INTO loose SELECT o.customer_id, 1 FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 5", "every key rows-sent"),
        Routing("INSERT INTO loose SELECT c.id, 1 FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 5", "keyed 5"),
        Routing("INSERT INTO orders SELECT * FROM settings", "PGM-KEY-TYPE"),
        Routing("INSERT INTO counted (k) VALUES (5)", "PGM-SEQUENCE"),
        Routing("INSERT INTO counted (k, n) VALUES (5, 1)", "keyed 5"),
        Routing("INSERT INTO counted (k, n) VALUES (5, DEFAULT)", "PGM-SEQUENCE"),
        Routing("INSERT INTO parts VALUES (5, '2020-01-01', 1)", "keyed 5"),
        Routing("INSERT INTO order_view VALUES (5, 1)", "PGM-VIEW-WRITE"),
        Routing("INSERT INTO local_view VALUES ('a', 'b')", "home"),
        Routing("INSERT INTO audit (message) VALUES ('x')", "home"),
        Routing("INSERT INTO settings SELECT note, note FROM orders WHERE customer_id = 5", "every key rows-sent"),
        Routing("INSERT INTO settings SELECT code, name FROM countries", "home"),
    ])
    func insertsNameTheirKey(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("UPDATE orders SET total = 1 WHERE customer_id = 5", "keyed 5"),
        Routing("UPDATE orders SET total = 1", "every key rows-alone"),
        Routing("UPDATE orders SET total = 1 WHERE id = 5", "every key rows-alone"),
        Routing("UPDATE orders SET customer_id = 6 WHERE customer_id = 5", "every key rows-moved"),
        Routing("UPDATE orders SET customer_id = 5 WHERE customer_id = 5", "every key rows-moved"),
        Routing("UPDATE orders SET (customer_id, total) = (5, 1) WHERE customer_id = 5", "PGM-KEY-UPDATE"),
        Routing("UPDATE orders SET (total, customer_id) = (SELECT 1, 5) WHERE customer_id = 5", "PGM-KEY-UPDATE"),
        Routing("UPDATE orders SET (total, note) = (SELECT count(*), 'x' FROM items) WHERE customer_id = 5", "PGM-NO-KEY"),
        Routing("UPDATE orders SET numbers[(SELECT count(*) FROM items)] = 1 WHERE customer_id = 5", "PGM-NO-KEY"),
        Routing("UPDATE orders o SET total = i.qty FROM items i WHERE i.customer_id = o.customer_id AND o.customer_id = 5", "keyed 5"),
        Routing("UPDATE orders o SET total = i.qty FROM items i WHERE i.order_id = o.id AND o.customer_id = 5", "PGM-NO-KEY"),
        Routing("UPDATE orders SET total = p.price FROM products p WHERE p.id = orders.id AND customer_id = 5", "keyed 5"),
        Routing("UPDATE orders SET total = (SELECT max(price) FROM products) WHERE customer_id = 5 RETURNING *", "keyed 5"),
        Routing("UPDATE orders SET total = 1 WHERE CURRENT OF c", "PGM-UNSUPPORTED"),
        Routing("DELETE FROM orders WHERE customer_id = 5", "keyed 5"),
        Routing("DELETE FROM orders", "every key rows-alone"),
        Routing("DELETE FROM orders WHERE customer_id = 5 OR id = 1", "every key rows-alone"),
        Routing("DELETE FROM orders USING items i WHERE i.customer_id = orders.customer_id AND i.customer_id = 5", "keyed 5"),
        Routing("DELETE FROM orders USING items i WHERE orders.customer_id = 5", "PGM-NO-KEY"),
        Routing("UPDATE orders SET placed_at = now() WHERE customer_id = 5", "keyed 5"),
        Routing("MERGE INTO orders o USING items i ON o.id = i.order_id WHEN MATCHED THEN DELETE", "PGM-NO-KEY"),
        Routing("UPDATE settings SET value = 'x'", "home"), Routing("DELETE FROM settings USING orders WHERE customer_id = 5", "PGM-MIXED-PLACEMENTS"),
        Routing("UPDATE pg_class SET relname = 'x'", "PGM-RELATION-KIND"),
    ])
    func updatesAndDeletesFindTheirKeyAndKeepIt(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("INSERT INTO countries (code, name, updated) VALUES ('x', 'X', '2020-01-01')", "every"),
        Routing("INSERT INTO countries (code, name, updated) VALUES ($1, $2, $3)", "every"),
        Routing("INSERT INTO countries (code, name) VALUES ('x', 'X')", "PGM-REFERENCE-VOLATILE"),
        Routing("INSERT INTO countries (code, name, updated) VALUES ('x', 'X', DEFAULT)", "PGM-REFERENCE-VOLATILE"),
        Routing("INSERT INTO countries (code, name, updated) VALUES ('x', 'X', now())", "PGM-REFERENCE-VOLATILE"),
        Routing("INSERT INTO countries (code, name, updated) VALUES ('x', 'X', CURRENT_TIMESTAMP)", "PGM-REFERENCE-VOLATILE"),
        Routing("INSERT INTO countries (code, name, updated) VALUES ('x', 'X', 'now')", "PGM-REFERENCE-VOLATILE"),
        Routing("INSERT INTO countries (code, name, updated) VALUES ('now', 'today', '2020-01-01')", "every"),
        Routing("UPDATE countries SET day = 'tomorrow'", "PGM-REFERENCE-VOLATILE"),
        Routing("UPDATE countries SET name = gen_random_uuid()::text", "PGM-REFERENCE-VOLATILE"),
        Routing("UPDATE countries SET population = random() * 5", "PGM-REFERENCE-VOLATILE"),
        Routing("UPDATE countries SET population = population + 1 WHERE updated < now()", "PGM-REFERENCE-VOLATILE"),
        Routing("UPDATE countries SET population = population + 1", "every"),
        Routing("UPDATE countries SET name = lower(name)", "PGM-USER-FUNCTION"),
        Routing("UPDATE countries SET name = upper(name) WHERE ctid = '(0,1)'", "PGM-REFERENCE-VOLATILE"),
        Routing("UPDATE countries SET population = nextval('ids')", "PGM-REFERENCE-VOLATILE"),
        Routing("UPDATE countries SET population = 1 FROM products", "PGM-REFERENCE-ORDER"),
        Routing("DELETE FROM countries WHERE code IN (SELECT code FROM countries LIMIT 1)", "PGM-REFERENCE-ORDER"),
        Routing("DELETE FROM countries WHERE code IN (SELECT name FROM products)", "every"),
        Routing("DELETE FROM countries WHERE code IN (SELECT note FROM orders WHERE customer_id = 5)", "PGM-REFERENCE-SOURCE"),
        Routing("DELETE FROM countries WHERE code IN (SELECT name FROM settings)", "PGM-MIXED-PLACEMENTS"),
        Routing("DELETE FROM countries WHERE code IN (SELECT relname FROM pg_class)", "PGM-CATALOG-JOIN"),
        Routing("INSERT INTO products (id, name) SELECT population, name FROM countries", "every"),
        Routing("INSERT INTO products (id, name) SELECT population, name FROM ref_view, countries", "every key rows-sent"),
        Routing("INSERT INTO products (id, name) SELECT row_number() OVER (), name FROM countries", "every key rows-sent"),
        Routing("INSERT INTO products (id, name) SELECT 1, string_agg(name, ',') FROM countries", "every key rows-sent"),
        Routing("INSERT INTO products (id, name) SELECT count(*), max(name) FROM countries", "every"),
        Routing("INSERT INTO ref_view VALUES ('a', 'b')", "PGM-VIEW-WRITE"),
        Routing("DELETE FROM countries", "every"), Routing("DELETE FROM countries RETURNING *", "every"),
    ])
    func aReferenceTableGetsTheSameRowsEverywhereOrNone(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test func parametersThatMayNameThePresentAreListed() throws {
        guard case .everyShard(let every) = try Fixture.plan("INSERT INTO countries (code, name, updated, day) VALUES ($1, $2, $3, $4)").route else {
            Issue.record("not for every shard")
            return
        }
        #expect(every.clockParameters == [3, 4])
        #expect(ClockText.mayNameNow("Now") && ClockText.mayNameNow("tomorrow 12:00") && !ClockText.mayNameNow("2020-01-01"))
    }

    @Test func aTriggerOnAReferenceTableWouldRunOnEachShard() {
        var schema = Fixture.schema
        schema.relations[Fixture.name("countries")]?.hasTriggers = true
        #expect(Fixture.route("DELETE FROM countries", in: Fixture.context(schema: schema)) == "PGM-REFERENCE-TRIGGER")
        #expect(Fixture.route("SELECT * FROM countries", in: Fixture.context(schema: schema)) == "any")
    }

    @Test func insertsIntoAVarcharKeyCarryItsLength() throws {
        #expect(try Fixture.plan("INSERT INTO codes VALUES ('a', 1)").keyLengthMax == 8)
        #expect(try Fixture.plan("SELECT * FROM codes WHERE code = 'a'").keyLengthMax == nil)
    }

    @Test func overridingUserValueDoesNotStoreTheKeyGiven() {
        var schema = Fixture.schema
        schema.relations[Fixture.name("counted")]?.columns[0].isIdentity = true
        let sql = "INSERT INTO counted (k, n) OVERRIDING USER VALUE VALUES (5, 1)"
        #expect(Fixture.route(sql, in: Fixture.context(schema: schema)) == "PGM-KEY-MISSING")
    }
}
