import RoutePlanning
import ShardModel
import Testing

/// With one shard, what is refused for the sake of several is answered by it.
@Suite struct SingleShardTests {
    private func context(_ shards: Int = 1, defaultPlacement: DefaultPlacement = .local) -> PlanningContext {
        var context = Fixture.context(defaultPlacement: defaultPlacement)
        context.shardCount = shards
        return context
    }

    private static let forSeveralOnly = [
        "SELECT count(*) FROM orders", "SELECT * FROM orders, settings", "DELETE FROM orders", "UPDATE orders SET customer_id = 1 WHERE id = 2",
        "SELECT * FROM orders WHERE customer_id = 1.5", "INSERT INTO countries VALUES (random()::text)", "SELECT nextval('ids'), * FROM orders",
        "MERGE INTO settings s USING audit a ON s.name = a.message WHEN MATCHED THEN DELETE", "CREATE TABLE t AS SELECT 1 AS x",
        "SELECT my_constant()", "LOCK TABLE orders", "COPY (SELECT * FROM orders) TO STDOUT", "EXPLAIN ANALYZE UPDATE countries SET name = 'x'",
        "CREATE INDEX CONCURRENTLY ON orders (total)", "COPY orders TO STDOUT", "UPDATE countries SET name = 'x'", "VACUUM orders",
    ]

    @Test func aRuleMayStandWhereNoShardsRowsDependOnIt() throws {
        for target in ["settings", "wild_view"] {
            #expect(Fixture.route("CREATE RULE r AS ON INSERT TO \(target) DO INSTEAD NOTHING", in: context()) == "home", "\(target)")
        }
        #expect(Fixture.route("CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING", in: context()) == "PGM-RULES")
    }

    @Test(arguments: forSeveralOnly) func theShardAnswersWithoutBeingKept(sql: String) throws {
        let plan = try Fixture.plan(sql, in: context())
        #expect(plan.route == .homeShard)
        #expect(plan.traces == .none)
    }

    @Test(arguments: [
        "DO $$ BEGIN PERFORM 1; END $$", "CALL anything()", "SELECT my_function()", "CREATE TEMP TABLE t (a int)", "SELECT * FROM wild_view",
        "SELECT set_config(name, value, false) FROM settings", "SELECT * INTO TEMP t FROM orders", "SELECT * FROM pg_temp.t",
        "WITH w AS (SELECT my_function()) SELECT * FROM w, orders", "LOAD 'plpgsql'", "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE DOMAIN pg_temp.d AS int", "EXPLAIN ANALYZE SELECT my_function()",
    ])
    func whatMayLeaveStateKeepsTheServerSession(sql: String) throws {
        let plan = try Fixture.plan(sql, in: context())
        #expect(plan.route == .homeShard)
        #expect(plan.writes && !plan.mayReadReplica)
        #expect(plan.traces.keeps == .sessionState)
    }

    @Test(arguments: [
        ("PREPARE TRANSACTION 'x'", "PGM-TWO-PHASE"), ("SET ROLE other", "PGM-ROLE"), ("SET array_nulls = off", "PGM-SETTING"),
        ("EXPLAIN EXECUTE s", "PGM-SQL-PREPARE"), ("CREATE TABLE t AS EXECUTE s", "PGM-SQL-PREPARE"),
        ("INSERT INTO orders (customer_id, id) VALUES (NULL, 1)", "PGM-KEY-NULL"), ("SELECT pgmosaic.shard_table('orders', 'id'), 1", "PGM-MOSAIC-CALL"),
        ("SELECT * FROM pg_prepared_statements", "PGM-SESSION-FUNCTION"), ("CREATE TABLE pgmosaic.t (a int)", "PGM-SYSTEM-SCHEMA"),
        ("CREATE UNIQUE INDEX ON orders (id)", "PGM-UNIQUE-WITHOUT-KEY"), ("ALTER TABLE orders DROP COLUMN customer_id", "PGM-KEY-DEFINITION"),
    ])
    func theRoutersOwnAndTheRulesOfShardedTablesStay(sql: String, code: String) { #expect(Fixture.route(sql, in: context()) == code) }

    @Test func aTableIsNotMadeWithoutAPlacement() throws {
        let refusing = context(defaultPlacement: .refuse)
        for sql in ["CREATE TABLE t (a int)", "CREATE TABLE t AS SELECT 1", "SELECT 1 AS a INTO t"] {
            #expect(Fixture.route(sql, in: refusing) == "PGM-UNPLACED-TABLE", "\(sql)")
        }
        #expect(try Fixture.plan("CREATE TEMP TABLE t AS SELECT 1", in: refusing).traces.keeps == .sessionState)
    }

    @Test func aNameThatIsNotKnownIsLookedForFirst() throws {
        #expect(try Fixture.plan("SELECT * FROM nowhere", in: context()).lacksSchema)
        #expect(try Fixture.plan("SELECT nothing()", in: context()).lacksSchema)
        #expect(try !Fixture.plan("SELECT count(*) FROM orders", in: context()).lacksSchema)
    }

    @Test func currvalNeedsAServerSessionThatIsKept() throws {
        #expect(try Fixture.plan("SELECT currval('ids')", in: context()).traces == {
            var traces = SessionTraces.none
            traces.readsSessionState = true
            return traces
        }())
    }

    @Test func aCursorOfSuchAQueryIsOne() throws {
        #expect(try Fixture.plan("DECLARE c CURSOR FOR SELECT * FROM orders", in: context()).cursor == .declare("c", holds: false))
        #expect(try Fixture.plan("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders", in: context()).traces.keeps == .heldCursor)
    }

    @Test(arguments: forSeveralOnly.dropLast(3)) func aSecondShardBringsTheRefusalsBack(sql: String) {
        #expect(Fixture.route(sql, in: context(2)).hasPrefix("PGM-"))
    }
}
