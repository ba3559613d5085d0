import RoutePlanning
import ShardModel
import Testing

/// With one shard, what is refused for the sake of several is answered by it.
@Suite struct SingleShardTests {
    private func context(_ shards: Int = 1, defaultPlacement: DefaultPlacement = .local) -> PlanningContext {
        var context = Fixture.context(defaultPlacement: defaultPlacement)
        context.shardCount = shards
        var view = Fixture.table("setting_view", "x text", kind: .view)
        view.viewFunctions = [QualifiedName(schema: "pg_catalog", name: "set_config")]
        context.schema.relations[view.name] = view
        view = Fixture.table("loose_view", "c bigint,x integer", kind: .view)
        view.viewSources = [Fixture.name("loose")]
        context.schema.relations[view.name] = view
        return context
    }

    private static let forSeveralOnly = [
        "SELECT count(DISTINCT id) FROM orders", "SELECT * FROM orders, settings", "DELETE FROM orders WHERE total < (SELECT avg(total) FROM orders)", "UPDATE orders SET customer_id = 1 WHERE id = 2",
        "SELECT * FROM orders WHERE customer_id = 1.5", "INSERT INTO countries VALUES (random()::text)", "SELECT nextval('ids'), * FROM orders",
        "MERGE INTO countries c USING (SELECT name FROM products LIMIT 1) p ON c.name = p.name WHEN MATCHED THEN DELETE", "SELECT * FROM wild_view",
        "INSERT INTO wild_view VALUES (1, 2)",
        "SELECT * FROM orders WHERE customer_id = NULL", "SELECT lo_create(0)", "SELECT pg_cancel_backend(1)", "SELECT my_stable()",
        "LOCK TABLE orders", "COPY (SELECT * FROM orders) TO STDOUT", "EXPLAIN ANALYZE UPDATE countries SET name = 'x'",
        "CREATE INDEX CONCURRENTLY ON orders (total)", "COPY orders TO STDOUT", "UPDATE countries SET name = 'x'", "VACUUM orders",
    ]

    @Test(arguments: ["CREATE INDEX CONCURRENTLY i ON orders (total)", "DROP INDEX CONCURRENTLY i"])
    func indexesAreMadeConcurrentlyByTheShardItself(sql: String) throws {
        #expect(try Fixture.plan(sql, in: context()).route == .homeShard)
    }

    @Test func aRuleMayStandWhereNoShardsRowsDependOnIt() throws {
        for target in ["settings", "wild_view"] {
            #expect(Fixture.route("CREATE RULE r AS ON INSERT TO \(target) DO INSTEAD NOTHING", in: context()).hasPrefix("every"), "\(target)")
        }
        #expect(Fixture.route("CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING", in: context()) == "PGM-RULES")
    }

    @Test(arguments: forSeveralOnly) func theShardAnswersWithoutBeingKept(sql: String) throws {
        let plan = try Fixture.plan(sql, in: context())
        #expect(plan.route == .homeShard)
        #expect(plan.traces == .none)
    }

    @Test(arguments: [
        "DO $$ BEGIN EXECUTE 'SET a.b = 1'; END $$", "DO LANGUAGE plperl 'x'", "CALL my_function()", "SELECT my_function()", "SELECT setseed(0.5)",
        "SET SESSION AUTHORIZATION other", "SELECT set_config('session_authorization', 'other', false)",
        "SELECT set_config(name, value, false) FROM settings", "WITH w AS (SELECT my_function()) SELECT * FROM w, orders", "LOAD 'plpgsql'",
        "EXPLAIN ANALYZE SELECT my_function()", "CREATE TABLE t AS SELECT my_function()", "SELECT * FROM setting_view",
        "SELECT pg_temp.f()", "SELECT shop.public.my_function()", "SELECT 1 OPERATOR(pg_temp.+) 2",
        "UPDATE pg_settings SET setting = 'x' WHERE name = 'work_mem'",
        "SELECT * FROM settings, LATERAL my_function() f", "SELECT my_function() INTO TEMP t",
    ])
    func whatMayLeaveStateKeepsTheServerSession(sql: String) throws {
        let plan = try Fixture.plan(sql, in: context())
        #expect(plan.route == .homeShard)
        #expect(plan.writes && !plan.mayReadReplica)
        #expect(plan.traces.keeps == .sessionState)
    }

    @Test(arguments: [
        "CREATE TEMP TABLE t (a int)", "SELECT * INTO TEMP t FROM orders", "SELECT * FROM pg_temp.t", "CREATE TEMP TABLE t AS SELECT 1",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE DOMAIN pg_temp.d AS int", "CREATE TEMP VIEW v AS SELECT 1 AS x",
    ])
    func temporaryObjectsKeepTheServerSessionWhileTheyLast(sql: String) throws {
        let plan = try Fixture.plan(sql, in: context())
        #expect(plan.route == .homeShard && plan.writes)
        #expect(plan.traces.keeps == .temporary)
    }

    @Test(arguments: ["CREATE TABLE t AS SELECT 1 AS x", "SELECT 1 AS x INTO t", "CREATE VIEW v AS SELECT my_constant() FROM nowhere",
        "DROP FOREIGN TABLE x", "ALTER SEQUENCE ids RESTART 4"])
    func whatChangesTheSchemaIsFollowedByALookAtIt(sql: String) throws {
        let plan = try Fixture.plan(sql, in: context())
        guard case .everyShard(let everyShard) = plan.route else {
            Issue.record("\(plan.route)")
            return
        }
        #expect(everyShard.changesSchema && plan.traces == .none && plan.reuse == .never)
    }

    @Test(arguments: ["DROP TABLE settings", "DROP TABLE pg_temp.t, settings", "DROP OWNED BY somebody", "DROP SCHEMA shadow CASCADE"])
    func whicheverTablesGoTheirPlacementsDo(sql: String) throws {
        guard case .everyShard(let everyShard) = try Fixture.plan(sql, in: context()).route else {
            Issue.record("refused")
            return
        }
        #expect(Set(everyShard.placementChanges).isSuperset(of: [.forget(Fixture.name("settings")), .forget(Fixture.name("shadow.orders"))]))
    }

    @Test func aDeclaredTableThatIsNotKnownIsLookedForBeforeItIsDropped() throws {
        var placements = Fixture.placements
        placements[Fixture.name("early")] = .local
        for shards in [1, 3] {
            var context = Fixture.context(placements: placements)
            context.shardCount = shards
            #expect(try Fixture.plan("DROP TABLE settings, early", in: context).lacksSchema)
            #expect(try !Fixture.plan("DROP TABLE IF EXISTS never", in: context).lacksSchema)
        }
    }

    @Test(arguments: [
        "INSERT INTO loose SELECT i, i FROM generate_series(1, 5) i", "INSERT INTO loose (x) VALUES (1)", "INSERT INTO loose DEFAULT VALUES",
        "INSERT INTO loose (customer_id, x) VALUES (1 + 1, 1)", "UPDATE loose SET customer_id = NULL",
        "UPDATE loose SET (customer_id, x) = (SELECT 1, 2)",
        "MERGE INTO loose USING settings ON true WHEN NOT MATCHED THEN INSERT VALUES (NULL, 1)", "COPY loose FROM '/tmp/x'",
        "MERGE INTO loose USING settings ON true WHEN MATCHED THEN UPDATE SET customer_id = x",
        "INSERT INTO loose (customer_id, x) VALUES (1, 1) ON CONFLICT (x) DO UPDATE SET customer_id = NULL",
        "WITH w AS (INSERT INTO loose SELECT 1 + 1, 2 RETURNING x) SELECT * FROM w", "EXPLAIN ANALYZE INSERT INTO loose SELECT 1 + 1, 2",
        "INSERT INTO loose_view SELECT 1, 2", "UPDATE loose_view SET c = NULL",
    ])
    func nothingMayStoreNullForAKey(sql: String) { #expect(Fixture.route(sql, in: context()) == "PGM-KEY-NULLABLE") }

    @Test(arguments: [
        "INSERT INTO loose (customer_id, x) VALUES (1.5, 1), ('2'::bigint, 1)", "UPDATE loose SET x = x + 1", "UPDATE loose SET customer_id = 5",
        "MERGE INTO loose USING settings ON true WHEN MATCHED THEN UPDATE SET x = 1 WHEN NOT MATCHED THEN DO NOTHING",
        "INSERT INTO kept SELECT i, i FROM generate_series(1, 5) i",
    ])
    func whatStoresNoNullIsAnswered(sql: String) throws {
        var context = context()
        context.schema.relations[Fixture.name("kept")] = Fixture.table("kept", "customer_id bigint!,x integer")
        context.placements[Fixture.name("kept")] = .sharded(key: "customer_id")
        #expect(Fixture.route(sql, in: context) == "home")
    }

    @Test func aKeyOfAnInsertIsLookedAtWhateverItStandsIn() throws {
        let plan = try Fixture.plan("WITH w AS (INSERT INTO loose VALUES ($1, 1) RETURNING x) SELECT * FROM w", in: context())
        guard case .keyed = plan.route else {
            Issue.record("\(plan.route)")
            return
        }
    }

    @Test(arguments: [
        ("PREPARE TRANSACTION 'x'", "PGM-TWO-PHASE"), ("SET search_path = pg_temp", "PGM-TEMPORARY"), ("SET array_nulls = off", "PGM-SETTING"),
        ("CREATE TABLE t AS EXECUTE s", "PGM-SQL-PREPARE"),
        ("INSERT INTO orders (customer_id, id) VALUES (NULL, 1)", "PGM-KEY-NULL"), ("INSERT INTO loose (customer_id) VALUES (NULL)",
            "PGM-KEY-NULL"), ("SELECT pgmosaic.shard_table('orders', 'id'), 1", "PGM-MOSAIC-CALL"),
        ("SELECT * FROM pg_prepared_statements", "PGM-SESSION-FUNCTION"), ("CREATE TABLE pgmosaic.t (a int)", "PGM-SYSTEM-SCHEMA"),
        ("CREATE UNIQUE INDEX ON orders (id)", "PGM-UNIQUE-WITHOUT-KEY"), ("ALTER TABLE orders DROP COLUMN customer_id", "PGM-KEY-DEFINITION"),
    ])
    func theRoutersOwnAndTheRulesOfShardedTablesStay(sql: String, code: String) { #expect(Fixture.route(sql, in: context()) == code) }

    @Test func aTableIsNotMadeWithoutAPlacement() throws {
        let refusing = context(defaultPlacement: .refuse)
        for sql in ["CREATE TABLE t (a int)", "CREATE TABLE t AS SELECT 1", "SELECT 1 AS a INTO t"] {
            #expect(Fixture.route(sql, in: refusing) == "PGM-UNPLACED-TABLE", "\(sql)")
        }
        #expect(try Fixture.plan("CREATE TEMP TABLE t AS SELECT 1", in: refusing).traces.keeps == .temporary)
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
        let route = Fixture.route(sql, in: context(2))
        #expect(route.hasPrefix("PGM-") || route == "rows finished")
    }
}
