import RoutePlanning
import ShardModel
import Testing

/// Statements of a session that has temporary relations, in a database with several shards.
@Suite struct TemporaryTests {
    /// `t`, and three that hide others: of a sharded table, of a reference table, of a system catalog. A view, a view that hides, a sequence, an index.
    static let context = {
        var context = Fixture.context()
        var relations = [
            Fixture.table("pg_temp.t", "a integer,b text"), Fixture.table("pg_temp.orders", "x integer"), Fixture.table("pg_temp.countries", "x integer"),
            Fixture.table("pg_temp.pg_class", "x integer"), Fixture.table("pg_temp.v", "a integer", kind: .view), Fixture.table("pg_temp.items", "a integer", kind: .view),
            Fixture.table("pg_temp.stale", "a integer", kind: .view), Fixture.table("pg_temp.s", "", kind: .sequence), Fixture.table("pg_temp.t_a", "", kind: .index),
        ]
        for index in relations.indices {
            switch relations[index].name.name {
            case "v": relations[index].viewSources = [Fixture.name("pg_temp.t"), Fixture.name("settings"), Fixture.name("products")]
            // It was a local table when the view was made.
            case "stale": relations[index].viewSources = [Fixture.name("docs")]
            default: break
            }
        }
        context.temporary = TemporaryRelations(relations: Dictionary(uniqueKeysWithValues: relations.map { ($0.name.name, $0) }), generation: 7)
        return context
    }()

    @Test(arguments: [
        // Names.
        Routing("SELECT * FROM t", "home"), Routing("SELECT * FROM pg_temp.t", "home"), Routing("SELECT * FROM orders", "home"), Routing("SELECT * FROM public.orders WHERE customer_id = 5", "keyed 5"),
        Routing("SELECT * FROM public.t", "PGM-UNKNOWN-TABLE"), Routing("SELECT * FROM pg_temp.customers", "PGM-UNKNOWN-TABLE"), Routing("SELECT * FROM pg_temp_2.t", "PGM-TEMPORARY"),
        Routing("SELECT x FROM pg_class", "home"), Routing("SELECT * FROM countries", "home"), Routing("SELECT * FROM public.countries", "any"),
        Routing("SELECT * FROM customers WHERE id = 5", "keyed 5"), Routing("WITH t AS (SELECT 1) SELECT * FROM t", "current"), Routing("SELECT * FROM v", "home"),
        Routing("SELECT * FROM items", "PGM-TEMPORARY"), Routing("SELECT * FROM stale", "PGM-TEMPORARY"), Routing("SELECT * FROM t_a", "PGM-RELATION-KIND"), Routing("SELECT last_value FROM s", "home"),
        // Company.
        Routing("SELECT * FROM t JOIN products ON id = a JOIN settings ON name = b", "home"), Routing("SELECT * FROM t, customers WHERE id = 5", "PGM-MIXED-PLACEMENTS"),
        Routing("INSERT INTO t SELECT id, name FROM products", "home"), Routing("INSERT INTO t SELECT id, name FROM customers WHERE id = 5", "PGM-MIXED-PLACEMENTS"),
        Routing("INSERT INTO products SELECT a, b FROM t", "PGM-MIXED-PLACEMENTS"), Routing("UPDATE t SET b = name FROM settings", "home"), Routing("DELETE FROM orders", "home"),
        Routing("INSERT INTO orders VALUES (1)", "home"), Routing("UPDATE customers SET name = b FROM t WHERE id = 5", "PGM-MIXED-PLACEMENTS"), Routing("SELECT my_function() FROM t", "PGM-USER-FUNCTION"),
        Routing("MERGE INTO t USING settings ON true WHEN MATCHED THEN DELETE", "home"), Routing("COPY t FROM STDIN", "home"), Routing("COPY orders TO STDOUT", "home"),
        Routing("COPY public.orders TO STDOUT", "gather"), Routing("TRUNCATE t, orders", "home"), Routing("TRUNCATE t, settings", "home"), Routing("TRUNCATE t, customers", "PGM-MIXED-PLACEMENTS"),
        Routing("ANALYZE orders", "home"), Routing("LOCK TABLE orders", "home"), Routing("EXPLAIN SELECT * FROM orders", "home"), Routing("DECLARE c CURSOR FOR SELECT * FROM orders", "home"),
        // Not in FROM.
        Routing("SELECT NULL::t", "home"), Routing("SELECT NULL::public.t", "current"), Routing("SELECT (NULL::t).a FROM customers WHERE id = 5", "PGM-MIXED-PLACEMENTS"),
        Routing("SELECT 't'::regclass", "home"), Routing("SELECT nextval('s')", "home"), Routing("SELECT name FROM customers WHERE id = 5 AND name = 't'", "keyed 5"), Routing("SELECT 1", "current"),
        // Definitions of them.
        Routing("CREATE TEMP TABLE x (a int)", "home"), Routing("CREATE TEMP TABLE t (a int)", "home"), Routing("CREATE INDEX ON t (a)", "home"), Routing("ALTER TABLE orders ADD COLUMN y int", "home"),
        Routing("ALTER TABLE t RENAME TO u", "home"), Routing("ALTER INDEX t_a RENAME TO t_b", "home"), Routing("ALTER SEQUENCE s RESTART", "home"), Routing("DROP TABLE orders, pg_temp.t", "home"),
        Routing("DROP TABLE IF EXISTS pg_temp.gone", "home"), Routing("DROP VIEW v", "home"), Routing("DROP SEQUENCE s", "home"), Routing("DROP INDEX t_a", "home"), Routing("COMMENT ON COLUMN t.a IS 'x'", "home"),
        Routing("CREATE TEMP TABLE x AS SELECT * FROM t, products", "home"), Routing("CREATE TEMP TABLE x AS SELECT * FROM customers", "PGM-TEMPORARY"),
        Routing("CREATE TEMP TABLE x AS SELECT * FROM customers WHERE id = 5", "PGM-TEMPORARY"), Routing("SELECT a INTO TEMP x FROM t UNION SELECT 2", "home"),
        Routing("SELECT 1 INTO pg_temp.x", "home"), Routing("SELECT id INTO TEMP x FROM customers", "PGM-TEMPORARY"), Routing("SELECT 1 INTO x", "PGM-CREATE-TABLE-AS"),
        Routing("SELECT * FROM (SELECT 1 AS a INTO TEMP x) y", "PGM-CREATE-TABLE-AS"), Routing("CREATE TABLE x AS SELECT * FROM t", "PGM-CREATE-TABLE-AS"),
        Routing("CREATE TEMP TABLE x AS EXECUTE p", "PGM-SQL-PREPARE"), Routing("CREATE MATERIALIZED VIEW x AS SELECT * FROM t", "PGM-CREATE-TABLE-AS"),
        Routing("CREATE TEMP TABLE x (LIKE customers)", "home"), Routing("CREATE TEMP TABLE x () INHERITS (customers)", "PGM-TEMPORARY"), Routing("CREATE TEMP TABLE x () INHERITS (settings)", "PGM-TEMPORARY"),
        Routing("CREATE TEMP TABLE x () INHERITS (orders)", "home"), Routing("CREATE TEMP TABLE x OF some_type", "PGM-TEMPORARY"), Routing("ALTER TABLE t INHERIT settings", "PGM-TEMPORARY"),
        Routing("ALTER TABLE t INHERIT orders", "home"), Routing("CREATE TEMP VIEW x AS SELECT * FROM settings", "home"), Routing("CREATE TEMP VIEW x AS SELECT * FROM customers WHERE id = 1", "PGM-TEMPORARY"),
        Routing("CREATE VIEW x AS SELECT * FROM t", "home"), Routing("CREATE VIEW x AS SELECT * FROM settings", "every"), Routing("CREATE VIEW x AS WITH t AS (SELECT 1) SELECT * FROM t", "PGM-TEMPORARY"),
        // Definitions of others.
        Routing("CREATE TABLE customers (LIKE t)", "PGM-TEMPORARY"), Routing("ALTER TABLE public.orders ADD COLUMN y int", "every"), Routing("ALTER TABLE customers ADD COLUMN y t", "PGM-TEMPORARY"),
        Routing("DROP TABLE t, customers", "PGM-TEMPORARY"), Routing("DROP TABLE public.orders", "every"), Routing("DROP TABLE customers", "every"), Routing("CREATE INDEX ON customers (name)", "every"),
        Routing("CREATE FUNCTION f(t) RETURNS int LANGUAGE sql AS 'SELECT 1'", "PGM-TEMPORARY"), Routing("CREATE FUNCTION f(x t.a%TYPE) RETURNS int LANGUAGE sql AS 'SELECT 1'", "PGM-TEMPORARY"),
        Routing("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "PGM-SYSTEM-SCHEMA"), Routing("GRANT SELECT ON t TO PUBLIC", "PGM-TEMPORARY"),
        Routing("CREATE STATISTICS st ON a, b FROM t", "PGM-TEMPORARY"), Routing("ALTER SEQUENCE ids OWNED BY t.a", "PGM-TEMPORARY"), Routing("DROP TYPE t", "PGM-TEMPORARY"),
    ])
    func goesWhereItsNamesAre(_ row: Routing) { #expect(Fixture.route(row.sql, row.types, in: Self.context) == row.route) }

    /// PostgreSQL does not prepare what touches them, and their definitions change what names mean.
    @Test(arguments: [
        ("SELECT * FROM t", false), ("INSERT INTO orders VALUES (1)", false), ("COPY t FROM STDIN", false), ("TRUNCATE t", false), ("SELECT NULL::t", false), ("SELECT nextval('s')", false),
        ("DECLARE c CURSOR FOR SELECT * FROM t", false), ("EXPLAIN SELECT * FROM t", false), ("CREATE TEMP TABLE x (a int)", true), ("SELECT 1 INTO TEMP x", true), ("DROP TABLE t", true),
        ("ALTER TABLE t ADD c int", true), ("CREATE INDEX ON t (a)", true), ("CREATE VIEW x AS SELECT * FROM t", true),
    ])
    func tellsWhatItDoesToThem(sql: String, changes: Bool) throws {
        let plan = try Fixture.plan(sql, in: Self.context)
        #expect(plan.traces.usesTemporary && plan.traces.preventsPrepare && plan.traces.changesTemporary == changes && !plan.mayReadReplica)
        #expect(!changes || plan.reuse == .never && plan.kind == .ddl && plan.writes)
        #expect((plan.traces.keeps == .temporary) == (sql.hasPrefix("CREATE TEMP") || sql.contains("INTO TEMP") || sql.hasPrefix("CREATE VIEW")))
    }

    /// Others are planned as in every session.
    @Test(arguments: ["SELECT * FROM customers WHERE id = 5", "SELECT * FROM settings", "INSERT INTO products VALUES (1)", "CREATE INDEX ON customers (name)", "SELECT 1", "SELECT 't'"])
    func leavesOtherStatementsAsTheyAre(sql: String) throws { #expect(try Fixture.plan(sql, in: Self.context) == Fixture.plan(sql)) }
}
