import RoutePlanning
import ShardModel
import Testing

/// SELECTs that the home shard answers over rows that are brought to it: which, and which rows.
@Suite struct FinishRoutingTests {
    private static func plan(_ sql: String) throws -> FinishPlan? {
        guard case .gatherRows(let gather) = try Fixture.plan(sql).route, gather.isFinished else { return nil }
        return gather.finish
    }

    /// "orders(id, note) | products(name)": what is fetched, and what is beside it in a transaction.
    private static func words(_ plan: FinishPlan) -> String {
        let list = { (tables: [FetchedTable]) in tables.map { "\($0.name.name)(\($0.columns.joined(separator: " ")))\($0.primaryKey.isEmpty ? "" : "*")" }.joined(separator: " ") }
        return plan.references.isEmpty ? list(plan.sharded) : "\(list(plan.sharded)) | \(list(plan.references))"
    }

    @Test(arguments: [
        ("SELECT count(DISTINCT note) FROM orders", "orders(note)"), ("SELECT stddev(total) FROM orders WHERE id > 3", "orders(id total)"),
        // Nothing but their number counts.
        ("SELECT count(*) FROM orders HAVING true", "orders(id)"), ("SELECT 1 WHERE EXISTS (SELECT FROM orders)", "orders(id)"),
        ("SELECT o.note, p.name FROM orders o FULL JOIN products p ON p.id = o.id", "orders(id note) | products(id name)"),
        ("SELECT a.note FROM orders a JOIN orders b ON a.id = b.customer_id", "orders(id customer_id note)"),
        // A name may mean any table's column.
        ("SELECT o.note, i.qty FROM orders o JOIN items i ON i.order_id = o.id WHERE o.customer_id > 4", "orders(id customer_id note) items(order_id customer_id qty)"),
        ("SELECT count(*) FROM orders o FULL JOIN items i USING (customer_id)", "orders(customer_id) items(customer_id)"),
        // A column that is named as the table is below.
        ("SELECT orders FROM (SELECT note AS orders FROM orders) x GROUP BY orders HAVING count(*) > 1 ORDER BY orders", "orders(note)"),
        ("SELECT count(DISTINCT items) FROM (SELECT i.qty AS items FROM orders o JOIN items i ON o.id = i.order_id) x", "orders(id) items(order_id qty)"),
        // All columns.
        ("SELECT * FROM items ORDER BY qty + 1", "items(order_id customer_id product_id qty)"), ("SELECT i.*, o.note FROM items i JOIN loose o(customer_id, note) ON i.qty = o.note", "items(order_id customer_id product_id qty) loose(customer_id x)"),
        ("SELECT 1 FROM items NATURAL FULL JOIN loose", "items(order_id customer_id product_id qty) loose(customer_id x)"), ("TABLE loose UNION TABLE loose", "loose(customer_id x)"),
        // Columns of a group that its key decides.
        ("SELECT note, count(*) FROM orders GROUP BY customer_id + 0, orders.id, note", "orders(id customer_id note)*"),
        ("SELECT note, stddev(total) FROM orders GROUP BY note", "orders(total note)"), ("SELECT customer_id, id, stddev(total) FROM orders GROUP BY 1, 2 HAVING random() < 2", "orders(id customer_id total)*"),
        ("WITH o AS (SELECT note FROM orders), items AS (SELECT 1 AS qty) SELECT count(DISTINCT note), max(qty) FROM o, items", "orders(note)"),
        ("WITH orders AS (SELECT note FROM orders) SELECT count(DISTINCT note) FROM orders", "orders(note)"),
        ("SELECT rank() OVER (PARTITION BY note ORDER BY total) FROM orders", "orders(total note)"), ("SELECT count(DISTINCT \"K\") FROM \"Mixed Case\"", "Mixed Case(K)"),
        ("SELECT x FROM parts UNION SELECT qty FROM items", "parts(x) items(qty)"),
        ("WITH RECURSIVE t AS (SELECT id FROM orders UNION SELECT o.id FROM orders o JOIN t ON o.id = t.id) SELECT * FROM t", "orders(id customer_id total note tags numbers placed_at)"),
    ] as [(String, String)])
    func onlyWhatMayBeMeantIsFetched(_ sql: String, _ fetched: String) throws {
        let plan = try #require(try Self.plan(sql))
        #expect(Self.words(plan) == fetched)
    }

    @Test(arguments: [
        ("SELECT count(DISTINCT note) FROM orders", "SELECT count(DISTINCT note) FROM pg_temp.pgmosaic_f1 AS \"orders\""),
        ("SELECT stddev(o.total) FROM public.orders o -- FROM orders", "SELECT stddev(o.total) FROM pg_temp.pgmosaic_f1 o -- FROM orders"),
        ("SELECT stddev(total), 'orders' FROM public /* x */ . \"orders\" AS o, products", "SELECT stddev(total), 'orders' FROM pg_temp.pgmosaic_f1 AS o, products"),
        ("TABLE loose UNION TABLE loose", "TABLE pg_temp.pgmosaic_f1 UNION TABLE pg_temp.pgmosaic_f1"),
        ("WITH orders AS (SELECT note FROM orders) SELECT count(DISTINCT note) FROM orders", "WITH orders AS (SELECT note FROM pg_temp.pgmosaic_f1 AS \"orders\") SELECT count(DISTINCT note) FROM orders"),
        ("SELECT a.note FROM orders a JOIN items b ON a.id = b.order_id;", "SELECT a.note FROM pg_temp.pgmosaic_f1 a JOIN pg_temp.pgmosaic_f2 b ON a.id = b.order_id;"),
        ("SELECT stddev(\"K\") FROM \"Mixed Case\"", "SELECT stddev(\"K\") FROM pg_temp.pgmosaic_f1 AS \"Mixed Case\""), ("SELECT 'ü', stddev(total) FROM orders", "SELECT 'ü', stddev(total) FROM pg_temp.pgmosaic_f1 AS \"orders\""),
    ] as [(String, String)])
    func theTextNamesWhatWasFetched(_ sql: String, _ text: String) throws {
        let plan = try #require(try Self.plan(sql))
        #expect(String(decoding: plan.text, as: UTF8.self) == text)
    }

    @Test func inATransactionReferenceTablesAreFetchedToo() throws {
        let plan = try #require(try Self.plan("SELECT p.name, stddev(o.total) FROM orders o JOIN products p ON p.id = o.id GROUP BY 1 HAVING true"))
        #expect(String(decoding: plan.textInTransaction, as: UTF8.self) == "SELECT p.name, stddev(o.total) FROM pg_temp.pgmosaic_f1 o JOIN pg_temp.pgmosaic_f2 p ON p.id = o.id GROUP BY 1 HAVING true")
        #expect(
            plan.fetch([0, 1], inTransaction: true)
                == "SELECT 0::pg_catalog.int2, t.\"id\", t.\"total\", (NULL::\"public\".\"products\").\"id\", (NULL::\"public\".\"products\").\"name\" FROM \"public\".\"orders\" AS t"
                + " UNION ALL SELECT 1::pg_catalog.int2, (NULL::\"public\".\"orders\").\"id\", (NULL::\"public\".\"orders\").\"total\", t.\"id\", t.\"name\" FROM \"public\".\"products\" AS t")
        #expect(plan.definitions(inTransaction: false, fillsThem: true) == "CREATE TEMPORARY TABLE pgmosaic_f1 ON COMMIT DROP AS SELECT t.\"id\", t.\"total\" FROM \"public\".\"orders\" AS t WITH DATA")
    }

    @Test(arguments: [
        ("SELECT stddev(total) FROM orders WHERE id > 3 AND note LIKE 'a%' AND 5 >= total", ["t.\"id\" > (3)", "t.\"note\" LIKE 'a%'", "(5) >= t.\"total\""]),
        ("SELECT stddev(total) FROM orders o WHERE o.id IN (1, 2) AND note IS NOT NULL AND id NOT IN (3) AND total BETWEEN -1.5 AND 2", ["t.\"id\" IN ((1), (2))", "t.\"note\" IS NOT NULL", "t.\"id\" NOT IN ((3))", "t.\"total\" BETWEEN (-1.5) AND (2)"]),
        ("SELECT stddev(total) FROM orders WHERE note = 'it''s' OR id = 1", []), ("SELECT stddev(total) FROM orders WHERE note = 'it''s' AND (id = 1 OR id = 2) AND NOT id = 5", ["t.\"note\" = 'it''s'"]),
        ("SELECT stddev(total) FROM orders WHERE placed_at < 'tomorrow' AND placed_at > '2026-01-01'", ["t.\"placed_at\" > '2026-01-01'"]), ("SELECT stddev(total) FROM orders WHERE id = $1 AND upper(note) = 'X' AND note = E'\\\\'", []),
        // Moments, at a distance of others.
        ("SELECT stddev(total) FROM orders WHERE placed_at >= date '1994-01-01' AND placed_at < date '1994-01-01' + interval '1' year AND placed_at <> '2026-03-01 10:00+01'::timestamptz - interval '3 days 2 hours'",
            [
                "t.\"placed_at\" >= CAST('1994-01-01' AS pg_catalog.date)", "t.\"placed_at\" < (CAST('1994-01-01' AS pg_catalog.date) OPERATOR(pg_catalog.+) interval '1' year)",
                "t.\"placed_at\" <> (CAST('2026-03-01 10:00+01' AS pg_catalog.timestamptz) OPERATOR(pg_catalog.-) interval '3 days 2 hours')",
            ]),
        (
            "SELECT stddev(total) FROM orders WHERE placed_at < date 'today' AND placed_at > date '2026-01-01' + interval '-1' day AND placed_at > now() AND placed_at > shadow.date '2026-01-01' AND placed_at > timestamp(0) '2026-01-01' AND placed_at > date '2026-01-01' + 1",
            []
        ),
        // Of a list with others what is qualified, or is no other's; on the side that is filled up nothing.
        ("SELECT o.id, p.name FROM orders o JOIN products p ON p.name = o.note WHERE o.id > 3 AND total > 5 AND p.price > 1 ORDER BY o.id + 1", ["t.\"id\" > (3)", "t.\"total\" > (5)"]),
        ("SELECT 1 FROM orders o, products p WHERE id > 3 AND total > 5 AND p.name = o.note ORDER BY random()", ["t.\"total\" > (5)"]), ("SELECT 1 FROM orders o, generate_series(1, 2) total WHERE note = 'x' ORDER BY random()", []),
        ("SELECT 1 FROM orders o, products p(total) WHERE note = 'x' AND o.id > 3 ORDER BY random()", ["t.\"id\" > (3)"]), ("WITH p AS (SELECT 1 AS total) SELECT 1 FROM orders o, p WHERE total > 5 AND o.id > 3 ORDER BY random()", ["t.\"id\" > (3)"]),
        ("SELECT p.name FROM products p LEFT JOIN orders o ON o.id = p.id WHERE o.id > 3", []), ("SELECT o.id, p.name FROM orders o LEFT JOIN products p ON p.name = o.note WHERE o.id > 3 ORDER BY random()", ["t.\"id\" > (3)"]),
        ("SELECT 1 FROM products p FULL JOIN orders o ON o.id = p.id WHERE o.id > 3", []), ("SELECT 1 FROM orders AS o(id, a) WHERE o.id > 3 ORDER BY random()", []), ("SELECT 1 FROM (orders o CROSS JOIN products) AS o WHERE o.id > 3 ORDER BY random()", []),
        // Named twice, or in another query than the condition's.
        ("SELECT 1 FROM orders a, orders b WHERE a.id > 3", []), ("SELECT 1 FROM products WHERE EXISTS (SELECT 1 FROM orders) AND id > 3", []), ("SELECT stddev(n) FROM (SELECT id AS n FROM orders WHERE id > 3) x WHERE n > 4", ["t.\"id\" > (3)"]),
        ("WITH w AS (SELECT id FROM orders WHERE id > 3 LIMIT 5) SELECT 1 FROM w a, w b", ["t.\"id\" > (3)"]), ("SELECT sum(id) OVER () FROM orders WHERE id < 9 LIMIT 1", ["t.\"id\" < (9)"]), ("SELECT 1 FROM orders o WHERE EXISTS (SELECT 1 FROM products o WHERE o.id > 3) ORDER BY random()", []),
    ] as [(String, [String])])
    func rowsThatEveryAnswerLeavesOutStayWhereTheyAre(_ sql: String, _ conditions: [String]) throws {
        let plan = try #require(try Self.plan(sql))
        #expect(plan.sharded.count == 1 && plan.sharded[0].conditions == conditions, "\(plan.sharded[0].conditions)")
    }

    @Test(arguments: [
        ("SELECT count(DISTINCT note), now() FROM orders", true), ("SELECT stddev(total), CURRENT_DATE FROM orders", true), ("SELECT stddev(total) FROM orders WHERE placed_at > 'yesterday'", true),
        ("SELECT max(age(placed_at)) || 'x' FROM orders", true), ("SELECT stddev(total), clock_timestamp(), random() FROM orders", false), ("SELECT max(age(placed_at, placed_at)) || 'x' FROM orders", false),
    ] as [(String, Bool)])
    func theTransactionsTimeIsNoticed(_ sql: String, _ reads: Bool) throws {
        #expect(try #require(try Self.plan(sql)).readsClock == reads)
    }

    @Test(arguments: [
        // Another table's system columns, its row, its schema.
        "SELECT ctid, stddev(total) FROM orders GROUP BY 1", "SELECT count(DISTINCT orders) FROM orders", "SELECT count(DISTINCT o.*) FROM orders o", "SELECT stddev(total), row_to_json(o) FROM orders o GROUP BY 2", "SELECT o FROM orders o ORDER BY random()",
        "SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM products WHERE orders IS NOT NULL) ORDER BY random()", "SELECT 1 FROM orders, LATERAL (SELECT orders IS NULL) x ORDER BY random()",
        "SELECT o.row_to_json FROM orders o ORDER BY id + 1", "SELECT stddev(public.orders.total) FROM orders", "SELECT stddev(orders.total), public.orders.* FROM public.orders GROUP BY 2",
        // Not all rows, or more than rows.
        "SELECT stddev(total) FROM ONLY orders", "SELECT id FROM orders ORDER BY id + 1 FOR UPDATE", "SELECT stddev(total) FROM order_view", "SELECT stddev(total) FROM orders *",
        // The session, the catalog, the text.
        "SELECT stddev(total), current_query() FROM orders", "SELECT stddev(total), current_user FROM orders", "SELECT stddev(total), 'orders'::regclass FROM orders", "SELECT stddev(total), to_regclass('orders') FROM orders",
        "SELECT stddev(pg_column_size(note)) FROM orders", "SELECT stddev(total), current_setting('work_mem') FROM orders", "SELECT stddev(total), has_table_privilege('orders', 'select') FROM orders",
    ])
    func whatWouldMeanSomethingElseThereIsRefused(_ sql: String) {
        #expect(Fixture.route(sql) == "PGM-NO-KEY", "\(sql): \(Fixture.route(sql))")
    }

    @Test(arguments: [
        ("SELECT stddev(o.total) FROM orders o, settings", "PGM-MIXED-PLACEMENTS"), ("SELECT stddev(o.total) FROM orders o, pg_class", "PGM-CATALOG-JOIN"), ("SELECT stddev(total), my_function() FROM orders", "PGM-USER-FUNCTION"),
        ("SELECT stddev(total), nextval('ids') FROM orders", "PGM-SEQUENCE"), ("WITH d AS (DELETE FROM orders) SELECT stddev(total) FROM orders", "PGM-NO-KEY"), ("SELECT stddev(total) INTO x FROM orders", "PGM-CREATE-TABLE-AS"),
        ("EXPLAIN SELECT stddev(total) FROM orders", "explain finished"), ("EXPLAIN SELECT stddev(total), ctid FROM orders GROUP BY 2", "PGM-NO-KEY"), ("COPY (SELECT stddev(total) FROM orders) TO STDOUT", "rows finished"), ("DECLARE c CURSOR FOR SELECT stddev(total) FROM orders", "rows finished"), ("SELECT stddev(total) FROM orders TABLESAMPLE SYSTEM (5)", "PGM-SAMPLING"),
    ] as [(String, String)])
    func itsOwnCodeStays(_ sql: String, _ code: String) {
        #expect(Fixture.route(sql) == code)
    }

    /// Types whose values are numbers of their shard's cannot go; arrays of one's own types go as text.
    @Test func typesDecideHowRowsGo() throws {
        var schema = Fixture.schema
        var relation = try #require(schema.relations[Fixture.name("loose")])
        relation.columns += [
            Column(name: "c", typeOID: 2205, typeName: "regclass"), Column(name: "m", typeOID: Column.userTypeOID, typeName: "mood"),
            Column(name: "ms", typeOID: Column.userTypeOID, typeName: "mood[]"), Column(name: "r", typeOID: Column.userTypeOID, typeName: "shadow.orders"),
        ]
        schema.relations[relation.name] = relation
        let context = Fixture.context(schema: schema)
        func isText(_ column: String) throws -> Bool? {
            guard case .gatherRows(let gather) = try Fixture.plan("SELECT count(DISTINCT \(column)) FROM loose", in: context).route else { return nil }
            return gather.finish?.sharded.first?.isText
        }
        #expect(try isText("m") == false)
        #expect(try isText("ms") == true)
        #expect(try isText("r") == true)
        #expect(Fixture.route("SELECT count(DISTINCT c) FROM loose", in: context) == "PGM-COMBINED-TYPE")
        #expect(Fixture.route("SELECT count(DISTINCT x) FROM loose", in: context) == "rows finished")
    }
}
