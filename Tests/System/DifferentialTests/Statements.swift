/// What both servers are asked, in order.
enum Statements {
    static let schema = [
        "CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, balance numeric(12,2), born date, tags text[], colour text DEFAULT 'red', data jsonb)",
        "CREATE TABLE orders (id bigint REFERENCES people, no int, total numeric(10,2), at timestamptz, PRIMARY KEY (id, no))",
        "CREATE TABLE docs (slug text PRIMARY KEY, body text)",
        "CREATE TABLE things (code uuid PRIMARY KEY, n int)",
        "CREATE TABLE colours (colour text PRIMARY KEY, hex text)",
        "CREATE TABLE notes (n int PRIMARY KEY, t text)",
    ]

    static let data: [String] =
        (1...120).map {
            "INSERT INTO people VALUES (\($0), 'p\($0 % 7)', \($0).\($0 % 10)5, date '2000-01-01' + \($0), '{a\($0 % 3),b}', CASE WHEN \($0) % 2 = 0 THEN 'blue' ELSE NULL END, '{\"k\": \($0)}')"
        } + [1, 2, 3, 17, 42, 99].flatMap { key in
            (1...6).map { "INSERT INTO orders VALUES (\(key), \($0), \($0 * key).50, '2024-03-0\($0) 10:00+00')" }
        } + [
            "INSERT INTO colours VALUES ('red', 'f00'), ('blue', '00f'), ('green', '0f0')",
            "INSERT INTO docs VALUES ('a', 'first')", "INSERT INTO docs VALUES ('日本語', 'third')", "INSERT INTO docs VALUES ('it''s', 'quoted')",
            "INSERT INTO things VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 5)", "INSERT INTO notes VALUES (1, 'one'), (2, 'two')",
        ]

    static let all: [String] = reads + writes + failures

    private static let reads: [String] = [42, 99, 3, 1000].flatMap { key in
        [
            "SELECT * FROM people WHERE id = \(key)",
            "SELECT id, name FROM public.people p WHERE p.id = '\(key)'",
            "SELECT id FROM people WHERE id = \(key)::int AND name LIKE 'p%'",
            "SELECT count(*), sum(total), min(no), max(at), avg(total) FROM orders WHERE id = \(key)",
            "SELECT no, total FROM orders WHERE id = \(key) ORDER BY no DESC LIMIT 3 OFFSET 1",
            "SELECT no, sum(total) OVER (ORDER BY no) FROM orders WHERE id = \(key) ORDER BY no",
            "SELECT p.name, o.no FROM people p JOIN orders o ON o.id = p.id WHERE p.id = \(key) ORDER BY 2",
            "SELECT p.name, o.no FROM people p LEFT JOIN orders o USING (id) WHERE p.id = \(key) ORDER BY 2",
            "SELECT p.name, c.hex FROM people p LEFT JOIN colours c ON c.colour = p.colour WHERE p.id = \(key)",
            "WITH o AS (SELECT * FROM orders WHERE id = \(key)) SELECT count(*) FROM o WHERE no > 2",
            "SELECT name FROM people WHERE id = \(key) AND EXISTS (SELECT 1 FROM orders WHERE orders.id = people.id)",
            "SELECT (SELECT count(*) FROM orders o WHERE o.id = p.id) FROM people p WHERE p.id = \(key)",
            "SELECT id FROM people WHERE id IN (\(key))",
            "SELECT id FROM people WHERE id = ANY ('{\(key)}')",
            "SELECT id FROM people WHERE id = ANY (ARRAY[\(key)])",
            "SELECT no FROM orders WHERE (id, no) = (\(key), 2)",
            "SELECT no FROM orders WHERE id = \(key) UNION ALL SELECT no + 10 FROM orders WHERE id = \(key) ORDER BY 1",
            "SELECT DISTINCT total > 20 AS large FROM orders WHERE id = \(key) ORDER BY 1",
            "SELECT data->>'k', tags[1], born + 1 FROM people WHERE id = \(key)",
            "SELECT date_trunc('month', at), count(*) FROM orders WHERE id = \(key) GROUP BY 1 HAVING count(*) > 1 ORDER BY 1",
        ]
    } + [
        "SELECT * FROM docs WHERE slug = 'a'", "SELECT * FROM docs WHERE slug = '日本語'", "SELECT * FROM docs WHERE slug = 'it''s'",
        "SELECT * FROM docs WHERE slug = E'it\\'s'", "SELECT * FROM things WHERE code = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "SELECT * FROM things WHERE code = '{a0eebc999c0b4ef8bb6d6bb9bd380a11}'::uuid", "SELECT * FROM colours ORDER BY colour",
        "SELECT * FROM notes ORDER BY n", "SELECT 1 + 1 AS two, 'x'::text", "SELECT", "", "VALUES (1, 'a'), (2, 'b')", "TABLE colours ORDER BY 1",
    ]

    private static let writes = [
        "INSERT INTO people (id, name) VALUES (121, 'new') RETURNING *",
        "INSERT INTO people (name, id) VALUES ('other', 122)",
        "INSERT INTO people (id, name) VALUES (121, 'again') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING name",
        "INSERT INTO people (id, name) VALUES (121, 'never') ON CONFLICT DO NOTHING",
        "UPDATE people SET balance = balance + 1, name = upper(name) WHERE id = 42 RETURNING balance, name",
        "UPDATE orders o SET total = o.total * 2 FROM people p WHERE p.id = o.id AND o.id = 17 RETURNING o.no, o.total",
        "DELETE FROM orders WHERE id = 99 AND no > 4 RETURNING no",
        "DELETE FROM orders WHERE id = 98",
        "WITH gone AS (DELETE FROM orders WHERE id = 3 AND no = 1 RETURNING *) SELECT count(*) FROM gone",
        "INSERT INTO orders SELECT id, no + 100, total FROM orders WHERE id = 2 RETURNING no",
        "INSERT INTO orders (id, no, total) VALUES (1, 50, 1), (1, 51, 2) RETURNING id, no",
        "BEGIN", "UPDATE people SET name = 'lost' WHERE id = 1", "SAVEPOINT a", "DELETE FROM orders WHERE id = 1", "ROLLBACK TO a",
        "SELECT count(*) FROM orders WHERE id = 1", "ROLLBACK", "SELECT name FROM people WHERE id = 1",
        "BEGIN", "UPDATE people SET name = 'kept' WHERE id = 1", "COMMIT",
        "INSERT INTO colours VALUES ('black', '000') RETURNING hex", "UPDATE colours SET hex = upper(hex) WHERE colour <> 'red'",
        "DELETE FROM colours WHERE colour = 'green'", "UPDATE notes SET t = 'eins' WHERE n = 1 RETURNING *", "COMMIT", "ROLLBACK",
    ]

    private static let failures = [
        "SELECT 1/0 FROM people WHERE id = 42", "SELECT nothing FROM people WHERE id = 42", "SELECT * FROM nowhere", "SELEC 1", "SELECT * FROM people WHERE id = 'x'",
        "INSERT INTO people (id, name) VALUES (42, 'twice')", "INSERT INTO people (id, name) VALUES (500, NULL)",
        "INSERT INTO orders VALUES (9999, 1, 1)", "SELECT 'x'::int", "SELECT no_such_function(1)", "BEGIN", "SELECT 1/0", "SELECT 1", "COMMIT",
        "SAVEPOINT outside", "INSERT INTO colours VALUES ('red', 'twice')",
        "SET statement_timeout = 'often'", "SHOW no_such_setting",
    ]
}
