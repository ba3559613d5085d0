import PGTypes
import RoutePlanning
import SQLSyntax
import Testing

@Suite struct UtilityRoutingTests {
    @Test(arguments: [
        Routing("BEGIN", "transaction"), Routing("START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY", "transaction"), Routing("COMMIT AND CHAIN", "transaction"),
        Routing("ROLLBACK TO s", "transaction"), Routing("PREPARE TRANSACTION 'x'", "PGM-TWO-PHASE"), Routing("COMMIT PREPARED 'x'", "PGM-TWO-PHASE"),
        Routing("SET search_path = a, b", "session"), Routing("SET search_path = pg_temp, public", "PGM-TEMPORARY"), Routing("SET ROLE x", "session"), Routing("SET LOCAL ROLE x", "session"), Routing("SELECT set_config('role', 'x', true)", "session"),
        Routing("SET SESSION AUTHORIZATION x", "PGM-ROLE"), Routing("SET standard_conforming_strings = off", "PGM-SETTING"), Routing("SET array_nulls = off", "PGM-SETTING"),
        Routing("SET client_encoding = 'latin1'", "PGM-SETTING"), Routing("SET client_encoding = 'UTF8'", "session"), Routing("SET TRANSACTION SNAPSHOT 'x'", "PGM-SETTING"),
        Routing("SET search_path FROM CURRENT", "PGM-SETTING"), Routing("SET pgmosaic.shard_key = '5'", "session"), Routing("SET LOCAL pgmosaic.shard_key = '5'", "PGM-SETTING"),
        Routing("SHOW ALL", "session"), Routing("RESET ALL", "session"), Routing("DISCARD ALL", "session"), Routing("DEALLOCATE x", "session"),
        Routing("PREPARE p AS SELECT 1", "session"), Routing("EXECUTE p", "session"), Routing("EXECUTE p(1, 'x', now() + '1 day')", "session"),
        Routing("EXECUTE p((SELECT max(id) FROM orders))", "PGM-SQL-PREPARE"), Routing("EXECUTE p((SELECT max(name) FROM settings))", "PGM-SQL-PREPARE"),
        Routing("EXECUTE p(nextval('ids'))", "PGM-SQL-PREPARE"), Routing("PREPARE p (own_type) AS SELECT 1", "PGM-SQL-PREPARE"),
        Routing("EXPLAIN EXECUTE p", "session"), Routing("CREATE TABLE x AS EXECUTE p", "PGM-CREATE-TABLE-AS"),
        Routing("PREPARE U&\"p\" AS SELECT 1", "PGM-SQL-PREPARE"), Routing("DISCARD PLANS", "session"), Routing("LISTEN x", "home"), Routing("UNLISTEN *", "home"),
        Routing("NOTIFY x", "home"), Routing("SET CONSTRAINTS ALL DEFERRED", "session"), Routing("SET CONSTRAINTS x, shadow.y IMMEDIATE", "session"),
        Routing("TRUNCATE orders", "every"), Routing("TRUNCATE settings", "home"), Routing("TRUNCATE orders, settings", "PGM-MIXED-PLACEMENTS"),
        Routing("VACUUM orders", "every"), Routing("ANALYZE", "every"), Routing("VACUUM settings", "home"), Routing("REINDEX TABLE orders", "every"),
        Routing("REINDEX DATABASE x", "PGM-UNSUPPORTED"), Routing("CLUSTER orders", "every"), Routing("LOCK settings", "home"), Routing("LOCK orders", "PGM-LOCK-TABLE"),
        Routing("CHECKPOINT", "PGM-UNSUPPORTED"), Routing("LOAD 'x'", "PGM-UNSUPPORTED"),
        Routing("EXPLAIN SELECT * FROM orders WHERE customer_id = 5", "keyed 5"), Routing("EXPLAIN DELETE FROM countries", "home"),
        Routing("EXPLAIN (ANALYZE) DELETE FROM countries", "PGM-EXPLAIN-ANALYZE"), Routing("EXPLAIN (ANALYZE false) DELETE FROM countries", "home"),
        Routing("EXPLAIN SELECT * FROM orders", "explain rows-of-anchor"), Routing("DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer_id = 5", "keyed 5"),
        Routing("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "current"), Routing("DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT * FROM orders", "rows rows-of-anchor"),
        Routing("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders WHERE customer_id = 5", "keyed 5"), Routing("FETCH 5 FROM c", "current"), Routing("CLOSE c", "current"),
        Routing("COPY orders FROM STDIN", "split"), Routing("COPY orders (id) FROM STDIN", "PGM-KEY-MISSING"), Routing("COPY orders TO STDOUT", "gather"),
        Routing("COPY (SELECT * FROM orders WHERE customer_id = 5) TO STDOUT", "keyed 5"), Routing("COPY (SELECT * FROM orders) TO STDOUT", "rows finished"),
        Routing("COPY (SELECT ctid FROM orders) TO STDOUT", "PGM-NO-KEY"), Routing("COPY (DELETE FROM orders RETURNING id) TO STDOUT", "PGM-NO-KEY"), Routing("COPY (SELECT id FROM orders FOR UPDATE) TO STDOUT", "PGM-NO-KEY"), Routing("COPY countries TO STDOUT", "any"),
        Routing("COPY countries (code, name, population, day, updated) FROM STDIN", "broadcast"), Routing("COPY countries (code) FROM STDIN", "PGM-REFERENCE-VOLATILE"),
        Routing("COPY settings FROM STDIN", "home"), Routing("COPY orders FROM '/x'", "PGM-COPY-FILE"), Routing("COPY orders FROM PROGRAM 'x'", "PGM-COPY-FILE"),
        Routing("COPY orders FROM STDIN (FORMAT binary)", "split"), Routing("COPY BINARY orders FROM STDIN", "split"),
        Routing("COPY orders FROM STDIN WHERE id = 5", "split"), Routing("COPY orders FROM STDIN WHERE now() > '2024-01-01'", "PGM-COPY-OPTION"),
        Routing("COPY orders FROM STDIN WHERE random() < 0.5", "PGM-COPY-OPTION"), Routing("COPY orders FROM STDIN WHERE nextval('ids') > 3", "PGM-COPY-OPTION"),
        Routing("COPY countries FROM STDIN WHERE population > 5", "broadcast"), Routing("COPY countries FROM STDIN WHERE updated > now()", "PGM-REFERENCE-VOLATILE"),
        Routing("COPY settings FROM STDIN (FORMAT nonsense) WHERE random() < 1", "home"), Routing("COPY orders FROM STDIN (FREEZE)", "split"),
        Routing("COPY orders FROM STDIN (ENCODING 'latin1')", "split"), Routing("COPY orders FROM STDIN (ENCODING 'WIN-1252', FORMAT csv)", "split"),
        Routing("COPY orders FROM STDIN (ENCODING 'sjis')", "PGM-COPY-FORMAT"), Routing("COPY orders FROM STDIN (ENCODING gb18030, FORMAT csv)", "PGM-COPY-FORMAT"),
        Routing("COPY orders FROM STDIN (ENCODING 'latin1', NULL 'é')", "PGM-COPY-OPTION"), Routing("COPY orders FROM STDIN (FORMAT binary, ENCODING 'sjis')", "split"),
        Routing("COPY orders FROM STDIN (FORMAT nonsense)", "PGM-COPY-FORMAT"), Routing("COPY orders FROM STDIN (NONSENSE)", "PGM-COPY-OPTION"),
        Routing("COPY orders (id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)", "gather"), Routing("COPY orders TO STDOUT (ENCODING 'sjis')", "gather"),
        Routing("COPY orders TO STDOUT CSV HEADER FORCE QUOTE id", "gather"), Routing("COPY orders TO STDOUT (FORMAT csv, FORMAT text)", "PGM-COPY-OPTION"),
        Routing("COPY counted (k) FROM STDIN", "PGM-SEQUENCE"),
        Routing("SELECT pgmosaic.shard_table('x', 'id')", "mosaic"), Routing("SELECT pgmosaic.shard_table('orders', 'nope')", "PGM-KEY-COLUMN"),
        Routing("SELECT pgmosaic.shard_table('orders', 'total')", "PGM-KEY-DEFINITION"), Routing("SELECT pgmosaic.reference_table('\"A b\".c')", "mosaic"),
        Routing("SELECT pgmosaic.reference_table('x') FROM orders", "PGM-MOSAIC-CALL"), Routing("SELECT 1, pgmosaic.reference_table('x')", "PGM-MOSAIC-CALL"),
        Routing("SELECT pgmosaic.reference_table($1)", "PGM-MOSAIC-CALL"), Routing("SELECT pgmosaic.nothing('x')", "PGM-MOSAIC-CALL"),
    ])
    func everyOtherStatementHasItsPlace(_ line: Routing) {
        #expect(Fixture.route(line.sql) == line.route)
    }

    @Test func aCursorKnowsItsQueryAndHowFarItIsRead() throws {
        for (sql, query) in [
            ("DECLARE c CURSOR FOR SELECT * FROM orders", " SELECT * FROM orders"), ("/* for */ declare \"cursor for\" insensitive no scroll cursor without hold for(SELECT id FROM orders) ;", "(SELECT id FROM orders) "),
        ] { #expect(try Fixture.plan(sql).declaredQuery.map { String(decoding: $0, as: UTF8.self) } == query) }
        for (sql, rowsMax, isMove) in [("FETCH c", 1, false), ("FETCH 5 FROM c", 5, false), ("FETCH NEXT IN c", 1, false), ("FETCH ALL c", nil, false), ("MOVE FORWARD 3 c", 3, true), ("FETCH FORWARD ALL FROM c", nil, false)] as [(String, Int?, Bool)] {
            let step = try #require(try Fixture.plan(sql).fetch)
            #expect(step.rowsMax == rowsMax && step.isMove == isMove, "\(sql)")
        }
        for sql in ["FETCH 0 c", "FETCH -1 c", "FETCH PRIOR c", "FETCH ABSOLUTE 3 c", "FETCH LAST c", "FETCH RELATIVE 1 c", "MOVE BACKWARD ALL c"] { #expect(try Fixture.plan(sql).fetch == nil, "\(sql)") }
    }

    /// A plan that is shared by shape must hold for every literal that the shape can have.
    @Test func plansAreSharedOnlyWhereNoLiteralDecidesThem() throws {
        for sql in [
            "SELECT * FROM orders WHERE customer_id = 5 ORDER BY 1 LIMIT 10", "SELECT * FROM docs WHERE slug = 'a'", "SELECT 1", "UPDATE orders SET note = 'x' WHERE customer_id = 5",
            "INSERT INTO orders (id, customer_id) VALUES (1, 2), (3, 4)", "SELECT * FROM orders WHERE customer_id = -5", "SELECT * FROM countries WHERE code = 'x'",
        ] { #expect(try Fixture.plan(sql).reuse == .shape, "\(sql)") }
        for sql in [
            "SELECT * FROM orders WHERE customer_id = ANY('{1,2}')", "EXPLAIN (ANALYZE 0) DELETE FROM orders WHERE customer_id = 5", "SELECT 'orders'::regclass",
            "SELECT pg_total_relation_size('settings')", "UPDATE countries SET day = '2020-01-01'", "SELECT nextval('ids')", "SET search_path = 'a'", "TRUNCATE orders",
            "SELECT * FROM docs WHERE slug = E'a'", "SELECT * FROM orders WHERE customer_id = 5 -- comment", "COPY orders FROM STDIN (DELIMITER ',')",
            "SELECT * FROM orders WHERE customer_id = - -5",
        ] { #expect(try Fixture.plan(sql).reuse == .text, "\(sql)") }
        for sql in ["CREATE INDEX ON orders (note)", "SELECT pgmosaic.reference_table('x')"] { #expect(try Fixture.plan(sql).reuse == .never, "\(sql)") }
    }

    @Test func aSharedPlanReadsTheKeyOfEachText() throws {
        let (first, second) = ("SELECT 'a', 7 FROM docs WHERE slug = 'x' AND 1 = 2", "SELECT '', 123 FROM docs WHERE slug = 'it''s' AND 33 = 44")
        let plan = try Fixture.plan(first)
        #expect(try Fixture.plan(second).route == plan.route)
        guard case .keyed(let sources) = plan.route, case .literal(let ordinal, false, .text) = sources[0] else {
            Issue.record("not keyed by a literal")
            return
        }
        var buffer = ShapeBuffer()
        let bytes = Array(second.utf8)
        #expect(StatementShape.scan(bytes.span.bytes, into: &buffer) && buffer.literals[ordinal].value(in: bytes.span.bytes) == Array("it's".utf8))
    }

    @Test func writesAreKnownFromReads() throws {
        for sql in ["SELECT * FROM orders WHERE customer_id = 5", "SELECT 1", "EXPLAIN DELETE FROM orders WHERE customer_id = 5", "COPY countries TO STDOUT"] {
            #expect(try !Fixture.plan(sql).writes, "\(sql)")
        }
        for sql in [
            "DELETE FROM orders WHERE customer_id = 5", "SELECT * FROM orders WHERE customer_id = 5 FOR SHARE", "SELECT nextval('ids')", "TRUNCATE orders",
            "WITH d AS (DELETE FROM orders WHERE customer_id = 5) SELECT 1", "EXPLAIN ANALYZE DELETE FROM orders WHERE customer_id = 5", "COPY orders FROM STDIN",
        ] { #expect(try Fixture.plan(sql).writes, "\(sql)") }
    }

    @Test func aSearchPathIsReadFromItsStatement() {
        #expect(StatementPlanner.searchPath(ofSet: "SET search_path = \"$user\", Public, 'x y'") == ["$user", "public", "x y"])
        #expect(StatementPlanner.searchPath(ofSet: "SET SESSION search_path TO ''") == [])
        #expect(StatementPlanner.searchPath(ofSet: "SET search_path TO DEFAULT") == nil && StatementPlanner.searchPath(ofSet: "SET x = 1") == nil)
    }
}
