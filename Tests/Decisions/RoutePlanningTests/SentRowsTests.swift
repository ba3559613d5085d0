import PGTypes
import RoutePlanning
import SQLSyntax
import Testing

/// INSERT … SELECT whose rows go through the router, and changes of the shard key.
@Suite struct SentRowsTests {
    private static func sent(_ sql: String, _ types: [UInt32] = []) throws -> SentRows? {
        guard case .everyKey(let write) = try Fixture.plan(sql, types).route else { return nil }
        return write.sent
    }

    private static func query(_ sent: SentRows?) -> String { String(decoding: sent?.parts.query ?? [], as: UTF8.self) }

    @Test(arguments: [
        ("INSERT INTO loose SELECT max(customer_id), 1 FROM orders", SentRows.Target.owners(key: 0, type: .integer, lengthMax: nil)),
        ("INSERT INTO orders (id, customer_id) SELECT customer_id, id FROM orders ORDER BY total LIMIT 5 RETURNING id", .owners(key: 1, type: .integer, lengthMax: nil)),
        ("INSERT INTO codes SELECT slug, 1 FROM docs", .owners(key: 0, type: .text, lengthMax: 8)), ("INSERT INTO codes SELECT name, 1 FROM settings", .owners(key: 0, type: .text, lengthMax: 8)),
        ("INSERT INTO products (id, name) SELECT id, note FROM orders", .everyShard), ("INSERT INTO products (id, name) SELECT id, random()::text FROM products", .everyShard),
        ("INSERT INTO products (id, name) SELECT 1, name FROM settings ON CONFLICT (id) DO UPDATE SET name = excluded.name", .everyShard),
        ("INSERT INTO settings SELECT note, count(*)::text FROM orders GROUP BY note", .home), ("INSERT INTO loose SELECT g, g FROM generate_series(1, 5) AS s(g)", .owners(key: 0, type: .integer, lengthMax: nil)),
        ("INSERT INTO orders (id, customer_id, placed_at) SELECT id, id, now() FROM orders", .owners(key: 1, type: .integer, lengthMax: nil)),
    ])
    func theRowsGoWhereTheyBelong(_ sql: String, _ target: SentRows.Target) throws {
        #expect(try Self.sent(sql)?.target == target, "\(Fixture.route(sql))")
    }

    @Test func literalsHaveTheColumnsTypeAndParametersAreCast() throws {
        let sent = try Self.sent("INSERT INTO orders (id, customer_id, note, total, placed_at) SELECT id, id, NULL, $1, '2020-01-01' FROM orders")
        #expect(sent?.untyped == [2, 4] && sent?.width == 5 && Self.query(sent) == "SELECT id, id, NULL, $1::numeric, '2020-01-01' FROM orders")
        #expect(Self.query(try Self.sent("INSERT INTO orders (id, customer_id, total) SELECT id, id, $1 FROM orders", [0, 1700])).contains("$1::numeric"))
        #expect(Self.query(try Self.sent("INSERT INTO orders (id, customer_id, total) SELECT id, id, $1 FROM orders", [23])).contains("id, $1 FROM"))
        // As texts, which DISTINCT compares.
        #expect(try Self.sent("INSERT INTO loose SELECT DISTINCT id, '5' FROM orders")?.untyped == [])
    }

    /// Django's bulk_create(); drivers that send arrays; keys that PostgreSQL makes.
    @Test(arguments: [
        ("INSERT INTO orders (id, customer_id, note) SELECT * FROM UNNEST(($1)::bigint[], ($2)::bigint[], ($3)::text[]) ON CONFLICT (customer_id, id) DO UPDATE SET note = excluded.note RETURNING id", 1, 3),
        ("INSERT INTO loose (customer_id, x) SELECT * FROM unnest('{1,2}'::bigint[], '{3,4}'::int[])", 0, 2), ("INSERT INTO loose SELECT p0::bigint, p1::int FROM (VALUES ($1, $2, 0), ($3, $4, 1)) AS s(p0, p1, n) ORDER BY n RETURNING x", 0, 2),
        ("INSERT INTO loose (customer_id) SELECT generate_series(1, 5)", 0, 1), ("INSERT INTO loose VALUES (1 + 2, 3)", 0, 2), ("INSERT INTO orders (id, customer_id, total) VALUES ($1, abs($2), $3)", 1, 3),
    ])
    func rowsOfNoTableAreSentWhileVnodesMove(_ sql: String, _ key: Int, _ width: Int) throws {
        let sent = try #require(try Self.sent(sql), "\(Fixture.route(sql))")
        #expect(sent.target == .owners(key: key, type: .integer, lengthMax: nil) && sent.width == width && sent.followsOwners)
    }

    @Test func rowsOfTablesAreNotSentWhileVnodesMove() throws {
        for sql in ["INSERT INTO loose SELECT max(customer_id), 1 FROM orders", "INSERT INTO loose SELECT id, 1 FROM products", "INSERT INTO products (id, name) SELECT 1, random()::text", "INSERT INTO loose SELECT length(name), 1 FROM settings"] {
            #expect(try Self.sent(sql)?.followsOwners == false, "\(sql)")
        }
    }

    @Test func aRowOfValuesIsAQueryToo() throws {
        let sent = try Self.sent("INSERT INTO orders (id, customer_id, note, total, placed_at) VALUES (1, 2 + 3, NULL, $1, '2020-01-01') RETURNING id")
        #expect(sent?.untyped == [2, 4] && Self.query(sent) == "VALUES (1, 2 + 3, NULL, $1::numeric, '2020-01-01') ")
    }

    @Test func rowsThatMayMeetTwiceAreSentAtOnce() throws {
        #expect(try Self.sent("INSERT INTO loose SELECT id, 1 FROM orders ON CONFLICT DO NOTHING")?.isWhole == false)
        #expect(try Self.sent("INSERT INTO orders (id, customer_id) SELECT id, id FROM orders ON CONFLICT (customer_id, id) DO UPDATE SET total = 1")?.isWhole == true)
    }

    @Test(arguments: [
        // What either of the two statements may not do.
        "INSERT INTO countries (code, name) SELECT note, note FROM orders", "INSERT INTO counted (k) SELECT id FROM orders", "INSERT INTO loose SELECT id, my_function() FROM orders", "INSERT INTO order_view SELECT id, total FROM orders",
        "INSERT INTO loose SELECT nextval('ids'), 1", "WITH w AS (SELECT id FROM orders) INSERT INTO loose SELECT max(id), 1 FROM w", "INSERT INTO orders (id, customer_id, placed_at) SELECT id, id, 'now' FROM orders",
        "INSERT INTO orders (id, customer_id) SELECT id, id FROM orders ON CONFLICT (customer_id, id) DO UPDATE SET total = $1", "INSERT INTO orders (id, customer_id) SELECT id, id FROM orders RETURNING id + $1",
        "INSERT INTO loose (customer_id) SELECT 1 + 2, 3", "INSERT INTO loose VALUES (nextval('ids'), 1)",
        "INSERT INTO loose (SELECT max(customer_id), 1 FROM orders)",
    ])
    func otherRowsAreRefused(_ sql: String) { #expect(Fixture.route(sql).hasPrefix("PGM-"), "\(Fixture.route(sql))") }

    /// What the session has drawn last is lost with it.
    @Test func whatDrawsFromASequenceIsKnownToDraw() throws {
        var context = Fixture.context()
        context.keepsSequences = true
        for (sql, draws) in [("INSERT INTO audit (message) SELECT note FROM orders", true), ("INSERT INTO settings SELECT note, note FROM orders", false)] {
            let plan = try Fixture.plan(sql, in: context)
            #expect({ if case .everyKey = plan.route { true } else { false } }() && plan.traces.drawsSequences == draws, "\(sql)")
        }
    }

    @Test func aRowMovesByWhatItWillBe() throws {
        let sent = try #require(try Self.sent("UPDATE items AS i SET customer_id = 6, qty = i.qty + 1, product_id = $1 WHERE i.customer_id = 5 AND i.qty > $2 RETURNING i.*"))
        let query = Self.query(sent)
        #expect(query.hasPrefix("DELETE FROM  items AS i  WHERE i.customer_id = 5 AND i.qty > $2  RETURNING \"order_id\" AS pgmosaic_1, ( 6\n) AS pgmosaic_2, CAST( $1"), "\(query)")
        #expect(query.hasSuffix(" AS integer) AS pgmosaic_3, ( i.qty + 1\n) AS pgmosaic_4"), "\(query)")
        #expect(sent.target == .owners(key: 1, type: .integer, lengthMax: nil) && sent.returnsRows && sent.untyped.isEmpty)
        #expect(String(decoding: sent.parts.head, as: UTF8.self) == "INSERT INTO \"public\".\"items\" AS \"i\" (\"order_id\", \"customer_id\", \"product_id\", \"qty\") OVERRIDING SYSTEM VALUE ")
        #expect(sent.move?.old == .constant(Array("5".utf8), type: .integer) && sent.move?.new == .constant(Array("6".utf8), type: .integer))
        let bound = try Self.sent("UPDATE docs SET slug = $1, body = 'x' WHERE slug = $2")
        #expect(bound?.move?.old == .parameter(number: 2, type: .text) && bound?.move?.new == .parameter(number: 1, type: .text) && bound?.untyped == [2])
    }

    @Test(arguments: [
        "UPDATE orders SET customer_id = customer_id + 1 WHERE customer_id = 5", "UPDATE orders SET customer_id = 6", "UPDATE orders SET customer_id = 6 WHERE customer_id IN (4, 5)", "UPDATE orders SET customer_id = 6 WHERE customer_id = ANY ($1)",
        "UPDATE orders SET customer_id = 6, placed_at = DEFAULT WHERE customer_id = 5", "UPDATE orders SET customer_id = NULL WHERE customer_id = 5", "UPDATE orders SET customer_id = 6 FROM products p WHERE p.id = 1 AND customer_id = 5",
        "UPDATE orders SET customer_id = 6, numbers[1] = 2 WHERE customer_id = 5", "UPDATE orders SET customer_id = 6, placed_at = 'today' WHERE customer_id = 5", "UPDATE ONLY orders SET customer_id = 6 WHERE customer_id = 5",
        "UPDATE orders SET customer_id = 6.5 WHERE customer_id = 5", "UPDATE orders SET customer_id = 6, customer_id = 7 WHERE customer_id = 5", "UPDATE orders SET customer_id = 6 WHERE customer_id = 5 RETURNING $1",
    ])
    func otherChangesOfTheKeyAreRefused(_ sql: String) { #expect(Fixture.route(sql) == "PGM-KEY-UPDATE") }

    /// What tells DELETE and INSERT from UPDATE.
    @Test func triggersAndReferencesKeepARowWhereItIs() {
        let sql = "UPDATE items SET customer_id = 6 WHERE customer_id = 5"
        #expect(Fixture.route(sql) == "every key rows-moved")
        var context = Fixture.context()
        context.schema.relations[Fixture.name("items")]?.hasTriggers = true
        #expect(Fixture.route(sql, in: context) == "PGM-KEY-UPDATE")
        context = Fixture.context()
        context.schema.relations[Fixture.name("loose")]?.foreignKeys = [ForeignKey(name: "f", columns: ["customer_id"], target: Fixture.name("items"), targetColumns: ["customer_id"])]
        #expect(Fixture.route(sql, in: context) == "PGM-KEY-UPDATE")
        context = Fixture.context()
        context.schema.relations[Fixture.name("loose")]?.parent = Fixture.name("items")
        #expect(Fixture.route(sql, in: context) == "PGM-KEY-UPDATE")
    }
}
