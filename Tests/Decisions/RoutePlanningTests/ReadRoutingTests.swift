import RoutePlanning
import ShardModel
import Testing

@Suite struct ReadRoutingTests {
    /// No key was found, and each shard can answer for its own.
    private static let allRows = "rows rows-of-anchor"
    private static let allGroups = "rows groups-by-key"

    @Test(arguments: [
        Routing("SELECT * FROM orders WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders WHERE 5 = customer_id", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = -5", "keyed -5"),
        Routing("SELECT * FROM orders WHERE customer_id = - 5", "keyed -5"),
        Routing("SELECT * FROM orders WHERE customer_id=-5", "keyed -5"),
        Routing("SELECT * FROM orders WHERE customer_id = '5'", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = 9223372036854775807", "keyed 9223372036854775807"),
        Routing("SELECT * FROM orders WHERE customer_id = 9223372036854775808", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM orders WHERE customer_id = 5.0", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM orders WHERE customer_id = 1e5", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM orders WHERE customer_id = 5::bigint", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = CAST('5' AS integer)", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = int '5'", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = 1::numeric", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM orders WHERE customer_id = '1'::text::bigint", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM orders WHERE customer_id = true", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM orders WHERE customer_id = NULL", "PGM-KEY-NULL"),
        Routing("SELECT * FROM orders WHERE customer_id IS NULL", allRows),
        Routing("SELECT * FROM small WHERE k = 40000", "keyed 40000"),
        Routing("SELECT * FROM events WHERE tenant = '6b9f1f0e-2f1c-4a52-9d55-0a4a3c4c3a11'", "keyed 6b9f1f0e-2f1c-4a52-9d55-0a4a3c4c3a11"),
        Routing("SELECT * FROM events WHERE tenant = 5", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM docs WHERE slug = 'it''s'", "keyed it's"),
        Routing("SELECT * FROM docs WHERE slug = E'a\\nb'", "keyed a\nb"),
        Routing("SELECT * FROM docs WHERE slug = $q$x$q$", "keyed x"),
        Routing("SELECT * FROM docs WHERE slug = 'x'::varchar", "keyed x"),
        Routing("SELECT * FROM docs WHERE slug = 'xyz'::varchar(2)", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM docs WHERE slug = 'x'::char(3)", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM docs WHERE slug = 'x'::name", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM docs WHERE slug = 5", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM docs WHERE slug = 'x' COLLATE folded", allRows),
        Routing("SELECT * FROM docs WHERE slug COLLATE folded = 'x'", allRows),
        Routing("SELECT * FROM codes WHERE code = 'A'", "keyed A"),
        Routing("SELECT * FROM \"Mixed Case\" WHERE \"K\" = 5", "keyed 5"),
        Routing("SELECT * FROM Mixed WHERE k = 5", "42P01"),
    ])
    func aLiteralOfTheKeysTypeChoosesTheShard(_ line: Routing) {
        let expected = line.route == "42P01" ? "PGM-UNKNOWN-TABLE" : line.route
        #expect(Fixture.route(line.sql, line.types) == expected)
    }

    @Test(arguments: [
        Routing("SELECT * FROM orders WHERE customer_id = $1", "keyed $1"),
        Routing("SELECT * FROM orders WHERE customer_id = $1", "keyed $1", types: [20]),
        Routing("SELECT * FROM orders WHERE customer_id = $1", "keyed $1", types: [21]),
        Routing("SELECT * FROM orders WHERE customer_id = $1", "keyed $1", types: [705]),
        Routing("SELECT * FROM orders WHERE customer_id = $1", "PGM-KEY-TYPE", types: [25]),
        Routing("SELECT * FROM orders WHERE customer_id = $1", "PGM-KEY-TYPE", types: [1700]),
        Routing("SELECT * FROM orders WHERE customer_id = $1::bigint", "keyed $1"),
        Routing("SELECT * FROM orders WHERE customer_id = $1::bigint", "PGM-KEY-TYPE", types: [25]),
        Routing("SELECT * FROM orders WHERE customer_id = $1::text::bigint", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM docs WHERE slug = $1", "keyed $1", types: [1043]),
        Routing("SELECT * FROM docs WHERE slug = $1", "PGM-KEY-TYPE", types: [1042]),
        Routing("SELECT * FROM docs WHERE slug = $1", "PGM-KEY-TYPE", types: [19]),
        Routing("SELECT * FROM docs WHERE slug = $1::varchar(3)", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM events WHERE tenant = $1", "keyed $1", types: [2950]),
        Routing("SELECT * FROM events WHERE tenant = $1", "PGM-KEY-TYPE", types: [25]),
        // The first place of an undeclared parameter decides its type.
        Routing("SELECT $1 FROM orders WHERE customer_id = $1", "PGM-KEY-TYPE"),
        Routing("SELECT $1::int FROM orders WHERE customer_id = $1", "keyed $1"),
        Routing("SELECT $1::text FROM orders WHERE customer_id = $1", "PGM-KEY-TYPE"),
        Routing("SELECT 1 FROM orders WHERE total = $1 AND customer_id = $1", "PGM-KEY-TYPE"),
        Routing("SELECT 1 FROM orders WHERE id = $1 AND customer_id = $1", "keyed $1"),
        Routing("SELECT 1 FROM orders WHERE id = $2 AND customer_id = $1 LIMIT $3", "keyed $1"),
        Routing("SELECT * FROM orders WHERE customer_id IN ($1, $2)", "keyed $1, $2"),
        Routing("SELECT * FROM orders WHERE customer_id = ANY($1)", "keyed any $1"),
        Routing("SELECT * FROM orders WHERE customer_id = ANY($1)", "keyed any $1", types: [1016]),
        Routing("SELECT * FROM orders WHERE customer_id = ANY($1)", "PGM-KEY-TYPE", types: [1009]),
        Routing("SELECT * FROM orders WHERE customer_id = ANY($1::bigint[])", "keyed any $1"),
        Routing("SELECT * FROM orders WHERE customer_id = ANY($1::text[])", "PGM-KEY-TYPE"),
    ])
    func aParameterOfTheKeysTypeChoosesTheShard(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("SELECT * FROM orders WHERE customer_id IN (1, 2)", "keyed 1, 2"),
        Routing("SELECT * FROM orders WHERE customer_id IN (1, NULL)", "keyed 1"),
        Routing("SELECT * FROM orders WHERE customer_id IN (NULL)", "PGM-KEY-NULL"),
        Routing("SELECT * FROM orders WHERE customer_id IN (1, 2.5)", "PGM-KEY-TYPE"),
        Routing("SELECT * FROM orders WHERE customer_id IN (1, id)", allRows),
        Routing("SELECT * FROM orders WHERE customer_id NOT IN (1)", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = ANY(ARRAY[1, 2])", "keyed 1, 2"),
        Routing("SELECT * FROM orders WHERE customer_id = ANY(ARRAY[[1], [2]])", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = ANY('{1, 2}')", "keyed 1, 2"),
        Routing("SELECT * FROM orders WHERE customer_id = ANY('{1,NULL}'::bigint[])", "keyed 1"),
        Routing("SELECT * FROM orders WHERE customer_id = ANY('{{1}}')", allRows),
        // Marks that combine with what stands before them do not make it another sign.
        Routing("SELECT * FROM docs WHERE slug = ANY('{a,\u{301}b, \u{301}}')", "keyed a, \u{301}b, \u{301}"), Routing("SELECT * FROM docs WHERE slug = ANY('{a,\"\u{301}b}')", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = ALL(ARRAY[1])", allRows),
        Routing("SELECT * FROM orders WHERE customer_id <> ALL(ARRAY[1])", allRows),
        Routing("SELECT * FROM orders WHERE 1 = ANY(numbers)", allRows),
        Routing("SELECT * FROM orders WHERE (customer_id, id) = (5, 6)", "keyed 5"),
        Routing("SELECT * FROM orders WHERE ROW(id, customer_id) = ROW(5, 6)", "keyed 6"),
        Routing("SELECT * FROM orders WHERE (customer_id, id) IN ((1, 2), (3, 4))", "keyed 1, 3"),
        Routing("SELECT * FROM orders WHERE (customer_id, id) IN ((1, 2), (NULL, 4))", "keyed 1"),
        Routing("SELECT * FROM orders WHERE (customer_id, id) > (5, 6)", allRows),
        Routing("SELECT * FROM orders WHERE (customer_id, id) <> (5, 6)", allRows),
        Routing("SELECT * FROM orders WHERE customer_id BETWEEN 5 AND 5", allRows),
        Routing("SELECT * FROM orders WHERE customer_id IS NOT DISTINCT FROM 5", allRows),
        Routing("SELECT * FROM orders WHERE customer_id >= 5", allRows),
        Routing("SELECT * FROM orders WHERE customer_id + 0 = 5", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = 5 - 1", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = abs(5)", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = id", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = id AND id = 5", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id::text = '5'", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = 5 AND total > 1 AND note LIKE 'a%'", "keyed 5"),
        Routing("SELECT * FROM orders WHERE (customer_id = 5 AND (id = 1 AND total = 2))", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = 1 OR true", allRows),
        Routing("SELECT * FROM orders WHERE customer_id = 1 OR customer_id = 1", allRows),
        Routing("SELECT * FROM orders WHERE NOT customer_id = 1", allRows),
        Routing("SELECT * FROM orders WHERE NOT (customer_id <> 1)", allRows),
        Routing("SELECT * FROM orders WHERE (customer_id = 1) IS NOT FALSE", allRows),
        Routing("SELECT * FROM orders WHERE (customer_id = 1) = (id = 2)", allRows),
        Routing("SELECT * FROM orders WHERE CASE WHEN id = 1 THEN customer_id = 1 ELSE true END", allRows),
        Routing("SELECT * FROM orders WHERE COALESCE(customer_id = 1, true)", allRows),
        Routing("SELECT customer_id = 1 FROM orders", allRows),
        Routing("SELECT count(*) FILTER (WHERE customer_id = 1) FROM orders", "rows aggregates-combined"),
        Routing("SELECT customer_id FROM orders GROUP BY customer_id HAVING customer_id = 1", allGroups),
        Routing("SELECT * FROM orders ORDER BY customer_id = 1 LIMIT 1", "rows finished"),
        Routing("TABLE orders", allRows),
        Routing("SELECT * FROM orders", allRows),
        Routing("SELECT * FROM orders WHERE customer_id OPERATOR(pg_catalog.=) 5", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id OPERATOR(shadow.=) 5", "PGM-USER-OPERATOR"),
    ])
    func onlyAnEqualityThatEveryRowMustMeetChooses(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("SELECT * FROM orders o JOIN items i ON i.customer_id = o.customer_id WHERE o.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o JOIN items i USING (customer_id) WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o NATURAL JOIN items i WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o, items i WHERE o.customer_id = i.customer_id AND i.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o, items i WHERE o.customer_id = 5", "rows finished"),
        Routing("SELECT * FROM orders o CROSS JOIN items i WHERE o.customer_id = 5", "rows finished"),
        Routing("SELECT * FROM orders o JOIN items i ON i.order_id = o.id WHERE o.customer_id = 5", "rows finished"),
        Routing("SELECT * FROM orders a JOIN orders b ON a.customer_id = b.customer_id WHERE b.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders a JOIN orders b ON a.id = b.id WHERE b.customer_id = 5", "rows finished"),
        Routing("SELECT * FROM orders a, orders b WHERE a.customer_id = 5 AND b.customer_id = 7", "keyed 5, 7"),
        Routing("SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.customer_id = c.id WHERE c.id = 5", "keyed 5"),
        Routing("SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 5", "keyed 5"),
        Routing("SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id = 5", allRows),
        Routing("SELECT * FROM customers c LEFT JOIN orders o ON c.id = 5", "rows finished"),
        Routing("SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = 5 WHERE c.id = 5", "rows finished"),
        Routing("SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 5", "rows finished"),
        Routing("SELECT * FROM customers c RIGHT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM customers c RIGHT JOIN orders o ON o.customer_id = c.id WHERE c.id = 5", "rows finished"),
        Routing("SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.id = 5", "rows finished"),
        Routing("SELECT * FROM orders o FULL JOIN items i USING (customer_id) WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM orders o LEFT JOIN items i USING (customer_id) WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o RIGHT JOIN items i USING (customer_id) WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM countries c LEFT JOIN orders o ON o.customer_id = 5", "rows finished"),
        Routing("SELECT * FROM orders o LEFT JOIN countries c ON c.code = o.note WHERE o.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM countries c LEFT JOIN orders o ON o.note = c.code WHERE o.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o JOIN products p ON p.id = o.id WHERE o.customer_id = p.id AND p.id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o JOIN products p ON p.price = o.customer_id WHERE p.price = 5", allRows),
        Routing("SELECT * FROM docs d JOIN products p ON p.folded = d.slug WHERE p.folded = 'x'", allRows),
        Routing("SELECT * FROM (orders o JOIN items i USING (customer_id)) AS j WHERE j.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o JOIN items i USING (customer_id) AS j WHERE j.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders AS o(a, b, c) WHERE b = 5", "keyed 5"),
        Routing("SELECT * FROM orders AS o(customer_id, b, c) WHERE customer_id = 5", allRows),
        Routing("SELECT * FROM orders o WHERE orders.customer_id = 5", allRows),
        Routing("SELECT * FROM public.orders WHERE public.orders.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM ONLY orders WHERE orders.customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM orders o JOIN settings s ON s.name = o.note WHERE o.customer_id = 5", "PGM-MIXED-PLACEMENTS"),
        Routing("SELECT * FROM orders o JOIN pg_class c ON c.relname = o.note WHERE o.customer_id = 5", "PGM-CATALOG-JOIN"),
        Routing("SELECT * FROM orders TABLESAMPLE system (10) WHERE customer_id = 5", "PGM-SAMPLING"),
        Routing("SELECT * FROM parts WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM parts_1 WHERE customer_id = 5", "keyed 5"),
    ])
    func joinsCarryTheKeyAsTheirKindAllows(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("SELECT * FROM (SELECT * FROM orders) o WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM (SELECT customer_id AS c FROM orders) o WHERE c = 5", "keyed 5"),
        Routing("SELECT * FROM (SELECT id AS customer_id FROM orders) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT customer_id + 0 AS customer_id FROM orders) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT * FROM orders LIMIT 1) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT * FROM orders OFFSET 1) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT * FROM orders FETCH FIRST 1 ROW ONLY) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT DISTINCT ON (note) * FROM orders) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT DISTINCT customer_id FROM orders) o WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM (SELECT customer_id, rank() OVER (ORDER BY total) FROM orders) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT customer_id, rank() OVER (ORDER BY total) FROM orders WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT rank() OVER (ORDER BY total) FROM orders", "rows finished"),
        Routing("SELECT * FROM (SELECT customer_id, sum(total) FROM orders GROUP BY customer_id) o WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM (SELECT customer_id FROM orders GROUP BY ROLLUP (customer_id)) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT max(customer_id) AS customer_id FROM orders) o WHERE customer_id = 5", "rows finished"),
        Routing("SELECT * FROM (SELECT customer_id FROM orders UNION ALL SELECT customer_id FROM items) u WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM (SELECT customer_id FROM orders UNION ALL SELECT id FROM items, orders) u WHERE customer_id = 5", "rows finished"),
        Routing("SELECT customer_id FROM orders WHERE customer_id = 5 UNION SELECT customer_id FROM items WHERE customer_id = 6", "keyed 5, 6"),
        Routing("SELECT 1 FROM orders WHERE customer_id = 5 UNION SELECT 1 FROM items", "rows finished"),
        Routing("SELECT 1 FROM orders WHERE customer_id = 5 EXCEPT SELECT 1 FROM items", "rows finished"),
        Routing("SELECT * FROM orders WHERE customer_id = 5 AND EXISTS (SELECT 1 FROM items i WHERE i.customer_id = orders.customer_id)", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = 5 AND EXISTS (SELECT 1 FROM items i WHERE i.order_id = orders.id)", "rows finished"),
        Routing("SELECT * FROM orders WHERE EXISTS (SELECT 1 FROM items i WHERE i.customer_id = 5)", "rows finished"),
        Routing("SELECT * FROM orders WHERE customer_id IN (SELECT customer_id FROM items WHERE customer_id = 5)", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = 5 AND customer_id IN (SELECT customer_id FROM items)", "keyed 5"),
        Routing("SELECT * FROM orders WHERE customer_id = 5 AND customer_id NOT IN (SELECT customer_id FROM items)", "rows finished"),
        Routing("SELECT * FROM orders WHERE customer_id = 5 AND customer_id IN (SELECT customer_id FROM items LIMIT 9)", "rows finished"),
        Routing("SELECT * FROM orders WHERE customer_id = (SELECT 5)", allRows),
        Routing("SELECT * FROM orders WHERE customer_id IN (SELECT 5)", allRows),
        Routing("SELECT (SELECT count(*) FROM items) FROM orders WHERE customer_id = 5", "rows finished"),
        Routing("SELECT (SELECT count(*) FROM items i WHERE i.customer_id = o.customer_id) FROM orders o WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT 1 FROM orders WHERE customer_id = 5 GROUP BY id HAVING count(*) > (SELECT count(*) FROM items)", "rows finished"),
        Routing("SELECT 1 FROM orders WHERE customer_id = 5 ORDER BY (SELECT count(*) FROM items)", "rows finished"),
        Routing("SELECT 1 FROM orders WHERE customer_id = 5 LIMIT (SELECT count(*) FROM items)", "rows finished"),
        Routing("SELECT 1 FROM orders WHERE customer_id = 5 OFFSET (SELECT count(*) FROM items)", "rows finished"),
        Routing("SELECT 1 FROM orders o JOIN customers c ON c.id = o.customer_id AND c.name = (SELECT note FROM orders) WHERE c.id = 5", "rows finished"),
        Routing("SELECT sum(total) OVER (ORDER BY (SELECT count(*) FROM items)) FROM orders WHERE customer_id = 5", "rows finished"),
        Routing("SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM items)) FROM orders WHERE customer_id = 5", "rows finished"),
        Routing("SELECT numbers[(SELECT count(*)::int FROM items)] FROM orders WHERE customer_id = 5", "rows finished"),
        Routing("VALUES ((SELECT count(*) FROM orders))", "rows finished"),
        Routing("SELECT * FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id) x WHERE c.id = 5", "keyed 5"),
        Routing("SELECT * FROM customers c LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id LIMIT 3) x ON true WHERE c.id = 5", "keyed 5"),
        Routing("SELECT * FROM customers c, LATERAL (SELECT * FROM orders) x WHERE c.id = 5", "rows finished"),
        // A column of a level around, given out by one arm of a set operation or a subquery, is not restricted by what holds outside.
        Routing("SELECT * FROM orders b, LATERAL (SELECT b.customer_id AS x UNION ALL SELECT id FROM products) s WHERE s.x = 5", allRows),
        Routing(
            "SELECT * FROM orders b LEFT JOIN LATERAL (SELECT 1 FROM products p WHERE p.id IN (SELECT b.customer_id) AND p.id = 5) s ON true",
            allRows),
        Routing("SELECT * FROM orders, LATERAL (SELECT x.customer_id FROM items x) y WHERE y.customer_id = 5 AND orders.id = 5", "rows finished"),
        Routing("SELECT * FROM generate_series(1, 3) g, orders o WHERE o.customer_id = g", allRows),
        Routing("SELECT * FROM generate_series(1, 3) g, orders o WHERE o.customer_id = 5 AND o.id = g", "keyed 5"),
        Routing("SELECT * FROM unnest(ARRAY(SELECT note FROM items, orders)) u, orders o WHERE o.customer_id = 5", "rows finished"),
    ])
    func subqueriesMustBeBoundThemselves(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("WITH o AS (SELECT * FROM orders) SELECT * FROM o WHERE customer_id = 5", "keyed 5"),
        Routing("WITH o AS (SELECT * FROM orders WHERE customer_id = 5) SELECT * FROM o", "keyed 5"),
        Routing("WITH o AS (SELECT * FROM orders) SELECT * FROM o a, o b WHERE a.customer_id = 5 AND b.id = 7", "rows finished"),
        Routing("WITH o AS (SELECT * FROM orders) SELECT 1 FROM items WHERE customer_id = 5", "rows finished"),
        Routing("WITH o(c) AS (SELECT customer_id FROM orders) SELECT * FROM o WHERE c = 5", "keyed 5"),
        Routing("WITH o(customer_id) AS (SELECT id FROM orders) SELECT * FROM o WHERE customer_id = 5", "rows finished"),
        Routing("WITH orders AS (SELECT 1 AS x) SELECT * FROM orders", "current"),
        Routing("WITH orders AS (SELECT 1 AS x) SELECT * FROM public.orders", allRows),
        Routing("WITH orders AS (SELECT * FROM orders WHERE customer_id = 5) SELECT * FROM orders", "keyed 5"),
        Routing("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n", "current"),
        Routing(
            "WITH RECURSIVE t AS (SELECT id FROM orders WHERE customer_id = 5 UNION ALL SELECT o.id FROM orders o JOIN t ON o.id = t.id WHERE o.customer_id = 5) SELECT * FROM t",
            "keyed 5"),
        Routing("WITH RECURSIVE t AS (SELECT id FROM orders WHERE customer_id = 5 UNION SELECT o.id FROM orders o JOIN t ON o.id = t.id) SELECT * FROM t", "rows finished"),
        Routing("WITH d AS (DELETE FROM orders WHERE customer_id = 5 RETURNING *) SELECT * FROM d", "keyed 5"),
        Routing("WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d WHERE customer_id = 5", "PGM-NO-KEY"),
        Routing("WITH d AS (UPDATE orders SET total = 1) SELECT 1", "PGM-NO-KEY"),
        Routing("WITH d AS (DELETE FROM countries) SELECT 1 FROM orders WHERE customer_id = 5", "PGM-REFERENCE-SOURCE"),
    ])
    func withQueriesCountWhetherOrNotTheyAreRead(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test(arguments: [
        Routing("SELECT 1", "current"), Routing("SELECT now(), random()", "current"), Routing("", "empty"), Routing("-- nothing", "empty"),
        Routing("SELECT 1; SELECT 2", "PGM-MULTIPLE-STATEMENTS"),
        Routing("SELECT * FROM countries", "any"), Routing("SELECT * FROM countries FOR UPDATE", "home"),
        Routing("SELECT * FROM countries c JOIN products p ON true ORDER BY random()", "any"),
        Routing("SELECT * FROM countries, settings", "home"), Routing("SELECT * FROM settings", "home"),
        Routing("SELECT * FROM pg_class", "home"), Routing("SELECT * FROM pg_catalog.pg_tables", "home"),
        Routing("SELECT * FROM information_schema.columns", "home"), Routing("SELECT * FROM pg_class, countries", "home"),
        Routing("SELECT pg_backend_pid()", "home"), Routing("SELECT nextval('ids')", "home"), Routing("SELECT last_value FROM ids", "home"),
        Routing("SELECT currval('ids')", "PGM-SESSION-FUNCTION"), Routing("SELECT set_config('a.b', 'c', false)", "session"), Routing("SELECT set_config('a.b', note, false) FROM orders WHERE customer_id = 5", "PGM-SESSION-FUNCTION"),
        Routing("SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new", "session"),
        Routing("SELECT set_config('jit', $1, false)", "session"),
        Routing("SELECT set_config('a.b', 'c', false), set_config('a.c', 'd', false)", "PGM-SESSION-FUNCTION"),
        Routing("SELECT set_config('a.b', 'c', false), clock_timestamp()", "PGM-SESSION-FUNCTION"),
        Routing("SELECT set_config($1, 'c', false)", "PGM-SESSION-FUNCTION"),
        Routing("SELECT set_config('pgmosaic.shard_key', $1, false)", "PGM-SETTING"),
        Routing("SELECT pg_advisory_lock(1)", "home"), Routing("SELECT pg_advisory_lock(1), note FROM orders WHERE customer_id = 5", "PGM-SERVER-FUNCTION"), Routing("SELECT pg_advisory_xact_lock(1)", "home"),
        Routing("SELECT pg_read_file('x')", "PGM-SERVER-FUNCTION"), Routing("SELECT query_to_xml('x', true, true, '')", "PGM-SERVER-FUNCTION"),
        Routing("SELECT pg_total_relation_size('orders')", "PGM-SHARD-SIZE"), Routing("SELECT pg_total_relation_size('settings')", "home"),
        Routing("SELECT my_function()", "PGM-USER-FUNCTION"), Routing("SELECT my_stable()", "PGM-USER-FUNCTION"), Routing("SELECT my_constant()", "current"), Routing("SELECT my_constant(note) FROM orders WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT note FROM orders WHERE customer_id = my_constant(5)", "rows rows-of-anchor"), Routing("SELECT my_constant(note), my_function() FROM orders WHERE customer_id = 5", "PGM-USER-FUNCTION"),
        Routing("SELECT lower(note) FROM orders WHERE customer_id = 5", "PGM-USER-FUNCTION"),
        Routing("SELECT pg_catalog.lower(note) FROM orders WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT o.my_function FROM orders o WHERE customer_id = 5", "PGM-USER-FUNCTION"),
        Routing("SELECT no_such_function()", "PGM-UNKNOWN-FUNCTION"), Routing("SELECT * FROM no_such_table", "PGM-UNKNOWN-TABLE"),
        Routing("SELECT * FROM stray", "PGM-UNPLACED-TABLE"), Routing("SELECT * FROM wild_view", "PGM-VIEW"),
        Routing("SELECT * FROM ref_view", "any"), Routing("SELECT * FROM order_view WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM order_view", "PGM-NO-KEY"), Routing("SELECT * FROM pg_temp.x", "PGM-UNKNOWN-TABLE"), Routing("SELECT * FROM pg_temp_3.x", "PGM-TEMPORARY"),
        Routing("SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE", "keyed 5"),
        Routing("SELECT * FROM orders o JOIN countries c ON true WHERE customer_id = 5 FOR UPDATE", "PGM-REFERENCE-LOCK"),
        Routing("SELECT * FROM orders o JOIN countries c ON true WHERE customer_id = 5 FOR UPDATE OF o", "keyed 5"),
        Routing("SELECT nextval('ids') FROM orders WHERE customer_id = 5", "PGM-SEQUENCE"),
        Routing("SELECT * INTO x FROM orders WHERE customer_id = 5", "PGM-CREATE-TABLE-AS"),
        Routing("SELECT xmlelement(name x)", "PGM-UNSUPPORTED"),
    ])
    func everythingElseHasOnePlaceOrOneRefusal(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types) == line.route)
    }

    @Test func searchPathDecidesWhichTableIsMeant() {
        #expect(Fixture.route("SELECT * FROM orders", in: Fixture.context(searchPath: ["shadow", "public"])) == "home")
        #expect(Fixture.route("SELECT * FROM orders", in: Fixture.context(searchPath: ["public", "shadow"])) == Self.allRows)
        #expect(Fixture.route("SELECT * FROM orders", in: Fixture.context(searchPath: [])) == "PGM-UNKNOWN-TABLE")
        #expect(Fixture.route("SELECT * FROM shadow.orders") == "home")
        #expect(Fixture.route("SELECT * FROM x.public.orders") == "PGM-UNSUPPORTED")
    }

    @Test func somebodyElsesEqualityOrTypeNameChoosesNothing() {
        var schema = Fixture.schema
        schema.equalitySchemas = ["shadow"]
        let sql = "SELECT * FROM orders WHERE customer_id = 5"
        #expect(Fixture.route(sql, in: Fixture.context(schema: schema)) == "keyed 5")
        for other in [
            "SELECT * FROM orders o JOIN items i USING (customer_id) WHERE o.customer_id OPERATOR(pg_catalog.=) 5",
            "SELECT * FROM orders WHERE customer_id IN (SELECT customer_id FROM items WHERE customer_id OPERATOR(pg_catalog.=) 5)",
        ] { #expect(Fixture.route(other, in: Fixture.context(searchPath: ["public", "shadow"], schema: schema)) == "rows finished", "\(other)") }
        for other in [sql, "SELECT * FROM orders WHERE customer_id IN (5)", "SELECT * FROM orders WHERE customer_id = ANY('{5}')"] {
            #expect(Fixture.route(other, in: Fixture.context(searchPath: ["public", "shadow"], schema: schema)) == Self.allRows, "\(other)")
        }
        #expect(Fixture.route(sql, in: Fixture.context(searchPath: ["public", "pg_catalog"])) == Self.allRows)
        let cast = "SELECT * FROM docs WHERE slug OPERATOR(pg_catalog.=) 'x'::text"
        #expect(Fixture.route(cast, in: Fixture.context(searchPath: ["pg_catalog", "public"])) == "keyed x")
        #expect(Fixture.route(cast, in: Fixture.context(searchPath: ["public", "pg_catalog"])) == "PGM-KEY-TYPE")
    }

    @Test func anOperatorOfAUsersIsAFunctionOfAUsers() {
        var schema = Fixture.schema
        schema.userOperators = [Fixture.name("===")]
        let sql = "SELECT * FROM orders WHERE customer_id = 5 AND id === 7"
        #expect(Fixture.route(sql, in: Fixture.context(schema: schema)) == "PGM-USER-OPERATOR")
        #expect(Fixture.route("SELECT * FROM countries WHERE code === 'x'", in: Fixture.context(schema: schema)) == "PGM-USER-OPERATOR")
    }
}
