import RoutePlanning
import ShardModel
import Testing

/// What a session that asks currval() is told of its statements: which may draw, and which ask.
@Suite struct SequenceUseTests {
    private static func context(shards: Int = 4, _ change: (inout SchemaSnapshot) -> Void = { _ in }) -> PlanningContext {
        var schema = Fixture.schema
        schema.relations[Fixture.name("counted")]?.columns[1].hasSlicedSequence = true
        change(&schema)
        var context = Fixture.context(schema: schema)
        context.keepsSequences = true
        context.shardCount = shards
        return context
    }

    private static func use(_ sql: String, _ context: PlanningContext = context()) throws -> String {
        let traces = try Fixture.plan(sql, in: context).traces
        return [traces.drawsSequences ? "draws" : nil, traces.readsSequences ? "asks" : nil].compactMap(\.self).joined(separator: " ")
    }

    @Test(arguments: [
        ("SELECT nextval('ids')", "draws"), ("SELECT setval('ids', 5)", "draws"), ("SELECT currval('ids')", "asks"), ("SELECT lastval()", "asks"),
        ("SELECT pg_catalog.lastval(), nextval('ids')", "draws asks"), ("SELECT currval(pg_get_serial_sequence('counted', 'n'))", "asks"),
        ("INSERT INTO counted (k) VALUES (1)", "draws"), ("INSERT INTO counted VALUES (1)", "draws"), ("INSERT INTO counted VALUES (1, DEFAULT)", "draws"),
        ("INSERT INTO counted VALUES (1, 2)", ""), ("INSERT INTO counted (k, n) VALUES (1, currval('ids'))", "asks"), ("INSERT INTO counted (k) VALUES (1) RETURNING lastval()", "draws asks"),
        ("INSERT INTO audit (message) VALUES ('x')", "draws"), ("INSERT INTO audit DEFAULT VALUES", "draws"), ("INSERT INTO audit VALUES (1, 'x')", ""),
        ("WITH a AS (INSERT INTO audit DEFAULT VALUES RETURNING id) SELECT * FROM a", "draws"), ("UPDATE counted SET n = DEFAULT WHERE k = 1", "draws"),
        ("UPDATE counted SET n = 5 WHERE k = 1", ""), ("DELETE FROM counted WHERE k = 1", ""), ("SELECT * FROM counted WHERE k = 1 AND n = currval('ids')", "asks"),
        ("INSERT INTO orders (customer_id, id) VALUES (5, 1)", ""), ("SELECT * FROM counted WHERE k = 1 FOR UPDATE", ""), ("INSERT INTO local_view VALUES ('a', 'b')", "draws"),
        ("COPY counted (k) FROM STDIN", "draws"), ("COPY counted TO STDOUT", ""), ("ALTER TABLE settings ADD COLUMN x int", "draws"), ("CREATE TABLE t (customer_id bigint)", ""),
        ("DECLARE c CURSOR FOR SELECT nextval('ids')", "draws"), ("DECLARE c CURSOR FOR SELECT lastval()", "asks"), ("FETCH 1 FROM c", ""), ("EXPLAIN ANALYZE SELECT nextval('ids')", "draws"),
        ("SELECT 1", ""), ("BEGIN", ""), ("SET a.b = 'c'", ""), ("CREATE SEQUENCE other", ""),
    ])
    func withSeveralShards(sql: String, use: String) throws {
        var context = Self.context()
        context.keyColumnRules = ["customer_id"]
        #expect(try Self.use(sql, context) == use, "\(sql)")
    }

    @Test(arguments: [
        ("SELECT currval('ids')", "current"), ("SELECT currval('ids') FROM countries", "any"), ("SELECT currval('ids') FROM settings", "home"),
        ("INSERT INTO counted (k, n) VALUES (7, currval('ids'))", "keyed 7"), ("UPDATE counted SET n = currval('ids') WHERE k = 5", "keyed 5"),
        ("INSERT INTO counted (k) VALUES (currval('ids'))", "PGM-KEY-EXPRESSION"), ("SELECT * FROM counted WHERE k = currval('ids')", "PGM-NO-KEY"),
        ("INSERT INTO countries (code, population, updated) VALUES ('x', currval('ids'), NULL)", "PGM-REFERENCE-VOLATILE"),
    ])
    func whereTheQuestionRunsIsForItsTablesToSay(sql: String, route: String) { #expect(Fixture.route(sql, in: Self.context()) == route) }

    @Test func noStatementThatAsksRunsOnSeveralShards() throws {
        #expect(try Fixture.plan("UPDATE counted SET n = currval('ids') WHERE k IN (1, 2)", in: Self.context()).spread == nil)
        #expect(try Fixture.plan("INSERT INTO counted (k, n) VALUES (1, lastval()), (2, 5)", in: Self.context()).spread == nil)
        #expect(try Fixture.plan("INSERT INTO counted (k) VALUES (1), (2)", in: Self.context()).spread != nil)
    }

    @Test func triggersAndForeignKeysToThemMayDraw() throws {
        let own = Self.context { $0.relations[Fixture.name("orders")]?.hasTriggers = true }
        for sql in ["INSERT INTO orders (customer_id, id) VALUES (5, 1)", "UPDATE orders SET note = 'x' WHERE customer_id = 5", "DELETE FROM orders WHERE customer_id = 5"] {
            #expect(try Self.use(sql, own) == "draws", "\(sql)")
        }
        #expect(try Self.use("DELETE FROM counted WHERE k = 1", own) == "")
        let child = Self.context {
            $0.relations[Fixture.name("items")]?.hasTriggers = true
            $0.relations[Fixture.name("items")]?.foreignKeys = [
                ForeignKey(name: "f", columns: ["customer_id", "order_id"], target: Fixture.name("orders"), targetColumns: ["customer_id", "id"], onDelete: .cascade)
            ]
        }
        #expect(try Self.use("DELETE FROM orders WHERE customer_id = 5", child) == "draws")
        #expect(try Self.use("INSERT INTO orders (customer_id, id) VALUES (5, 1)", child) == "")
        let partition = Self.context { $0.relations[Fixture.name("parts_1")]?.hasTriggers = true }
        #expect(try Self.use("INSERT INTO parts VALUES (5, '2020-01-01', 1)", partition) == "draws")
    }

    @Test(arguments: [
        ("now()", ""), ("gen_random_uuid()", ""), ("my_function()", "draws"), ("(1 + public.my_function())", "draws"), ("\"Odd\"()", "draws"),
        ("COALESCE(nextval('s'::regclass), (0)::bigint)", "draws"), ("currval('s'::regclass)", "asks"),
    ])
    func defaultsAreLookedInto(text: String, use: String) throws {
        let context = Self.context { schema in
            schema.relations[Fixture.name("settings")]?.columns[1].defaultExpression = text
            schema.relations[Fixture.name("settings")]?.columns[1].defaultIsVolatile = true
        }
        #expect(try Self.use("INSERT INTO settings (name) VALUES ('x')", context) == use)
        #expect(try Self.use("INSERT INTO settings VALUES ('x', 'y')", context) == "")
    }

    @Test func aDefaultThatAsksIsRefusedWithoutTheSetting() {
        var context = Self.context { schema in
            schema.relations[Fixture.name("settings")]?.columns[1].defaultExpression = "currval('s'::regclass)"
            schema.relations[Fixture.name("settings")]?.columns[1].defaultIsVolatile = true
        }
        context.keepsSequences = false
        #expect(Fixture.route("INSERT INTO settings (name) VALUES ('x')", in: context) == "PGM-SESSION-FUNCTION")
    }

    /// Nothing is looked into there, so every write may.
    @Test(arguments: [
        ("SELECT nextval('ids')", "draws"), ("SELECT my_function()", "draws"), ("UPDATE settings SET value = 'x'", "draws"), ("DO 'BEGIN END'", "draws"), ("SELECT * FROM wild_view", "draws"),
        ("SELECT currval('ids')", "asks"), ("SELECT my_function(), lastval()", "draws asks"), ("SELECT count(*) FROM orders", ""), ("SELECT 1", ""), ("COMMIT", ""), ("CREATE TABLE x (a int)", ""),
    ])
    func withOneShard(sql: String, use: String) throws {
        var context = Self.context(shards: 1)
        context.defaultPlacement = .local
        #expect(try Self.use(sql, context) == use, "\(sql)")
    }

    @Test func withoutTheSettingNothingIsNoted() throws {
        for sql in ["SELECT nextval('ids')", "INSERT INTO audit DEFAULT VALUES", "ALTER TABLE settings ADD COLUMN x int"] {
            #expect(try Fixture.plan(sql).traces == .none, "\(sql)")
        }
    }
}
