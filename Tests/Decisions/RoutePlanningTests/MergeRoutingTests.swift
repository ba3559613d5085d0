import RoutePlanning
import Testing

/// MERGE: each shard for its own keys, or one shard for those that are named.
@Suite struct MergeRoutingTests {
    @Test(arguments: [
        Routing("MERGE INTO orders o USING items i ON o.customer_id = i.customer_id AND o.id = i.order_id WHEN MATCHED THEN UPDATE SET total = i.qty WHEN NOT MATCHED THEN INSERT (id, customer_id) VALUES (i.order_id, i.customer_id)", "every key rows-merged"),
        Routing("MERGE INTO loose l USING (SELECT customer_id, sum(qty) AS q FROM items GROUP BY customer_id) s ON s.customer_id = l.customer_id WHEN MATCHED AND s.q > 5 THEN DELETE WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (s.customer_id, s.q)", "every key rows-merged"),
        Routing("MERGE INTO loose l USING orders o ON l.customer_id = o.customer_id AND o.placed_at < now() WHEN NOT MATCHED AND EXISTS (SELECT 1 FROM products p WHERE p.id = o.id) THEN INSERT (customer_id) VALUES (o.customer_id)", "every key rows-merged"),
        Routing("MERGE INTO loose l USING (SELECT * FROM orders WHERE customer_id = 5) o ON l.customer_id = o.customer_id WHEN NOT MATCHED THEN INSERT VALUES (o.customer_id, 1)", "keyed 5"),
        Routing("EXPLAIN MERGE INTO loose l USING orders o ON l.customer_id = o.customer_id WHEN MATCHED THEN DELETE", "explain rows-merged"), Routing("EXPLAIN INSERT INTO loose SELECT customer_id, id FROM orders", "explain rows-inserted"),
        Routing("EXPLAIN MERGE INTO countries c USING products p ON p.name = c.code WHEN MATCHED THEN DELETE", "home"), Routing("EXPLAIN ANALYZE MERGE INTO countries c USING products p ON p.name = c.code WHEN MATCHED THEN DELETE", "PGM-EXPLAIN-ANALYZE"),
        Routing("MERGE INTO settings s USING audit a ON a.message = s.name WHEN MATCHED THEN DELETE", "home"),
        // Rows of other keys would be needed, or made.
        Routing("MERGE INTO loose l USING orders o ON l.x = o.id WHEN MATCHED THEN DELETE", "PGM-NO-KEY"), Routing("MERGE INTO loose l USING orders o ON l.customer_id = o.customer_id WHEN NOT MATCHED THEN INSERT VALUES (o.id, 1)", "PGM-NO-KEY"),
        Routing("MERGE INTO loose l USING products p ON p.id = l.customer_id WHEN MATCHED THEN DELETE", "PGM-NO-KEY"), Routing("MERGE INTO loose l USING (SELECT customer_id FROM orders LIMIT 5) o ON l.customer_id = o.customer_id WHEN MATCHED THEN DELETE", "PGM-NO-KEY"),
        Routing("MERGE INTO loose l USING (products p LEFT JOIN orders o ON o.id = p.id) ON l.customer_id = o.customer_id WHEN MATCHED THEN DELETE", "PGM-NO-KEY"),
        Routing("MERGE INTO loose l USING orders o ON l.customer_id = o.customer_id WHEN NOT MATCHED THEN INSERT VALUES (o.customer_id + 1, 1)", "PGM-KEY-EXPRESSION"), Routing("MERGE INTO loose l USING orders o ON l.customer_id = o.customer_id WHEN NOT MATCHED THEN INSERT (x) VALUES (1)", "PGM-KEY-MISSING"),
        Routing("MERGE INTO loose l USING orders o ON l.customer_id = o.customer_id WHEN MATCHED THEN UPDATE SET customer_id = 5", "PGM-KEY-UPDATE"), Routing("MERGE INTO loose l USING orders o ON l.customer_id = o.customer_id WHEN MATCHED THEN UPDATE SET x = (random() * 5)::int", "PGM-NO-KEY"),
        Routing("MERGE INTO loose l USING settings s ON s.name = 'x' WHEN MATCHED THEN DELETE", "PGM-MIXED-PLACEMENTS"), Routing("MERGE INTO orders o USING items i ON o.customer_id = i.customer_id WHEN NOT MATCHED THEN INSERT (id, customer_id) OVERRIDING USER VALUE VALUES (i.order_id, i.customer_id)", "PGM-MERGE"),
        // Every shard comes to the same: PostgreSQL refuses to change a row twice.
        Routing("MERGE INTO products p USING countries c ON p.name = c.code WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, name) VALUES (1, c.name)", "every"),
        Routing("MERGE INTO countries c USING (SELECT name FROM products LIMIT 3) p ON p.name = c.code WHEN MATCHED THEN DELETE", "PGM-REFERENCE-ORDER"), Routing("MERGE INTO countries c USING orders o ON o.note = c.code WHEN MATCHED THEN DELETE", "PGM-REFERENCE-SOURCE"),
        Routing("MERGE INTO countries c USING products p ON p.name = c.code WHEN MATCHED THEN UPDATE SET name = random()::text", "PGM-REFERENCE-VOLATILE"), Routing("MERGE INTO countries c USING settings s ON s.name = c.code WHEN MATCHED THEN DELETE", "PGM-MIXED-PLACEMENTS"),
    ])
    func eachShardMergesItsOwnKeys(_ line: Routing) { #expect(Fixture.route(line.sql, line.types) == line.route) }
}
