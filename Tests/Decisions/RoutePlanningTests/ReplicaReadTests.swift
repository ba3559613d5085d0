import RoutePlanning
import ShardModel
import Testing

/// Which statements a replica may answer.
@Suite struct ReplicaReadTests {
    @Test(arguments: [
        "SELECT * FROM orders WHERE customer_id = 5",
        "SELECT count(*), sum(total) FROM orders JOIN items USING (customer_id) WHERE customer_id = 5",
        "SELECT * FROM orders WHERE customer_id = 5 AND placed_at < now() - interval '1 day'",
        "WITH o AS (SELECT * FROM orders WHERE customer_id = 5) SELECT * FROM o ORDER BY total LIMIT 3",
        "SELECT * FROM countries", "SELECT upper(name) FROM countries UNION ALL SELECT 'x'", "SELECT * FROM settings", "TABLE settings",
        "SELECT 1", "VALUES (1), (2)", "SELECT pg_is_in_recovery()", "SELECT inet_server_port()", "SELECT pg_last_wal_replay_lsn()",
        "SELECT to_char(now(), 'YYYY'), current_date", "SELECT * FROM generate_series(1, 3)", "SELECT * FROM parts WHERE customer_id = 1",
    ])
    func aPlainReadMay(sql: String) throws {
        let plan = try Fixture.plan(sql)
        #expect(plan.mayReadReplica && !plan.writes)
    }

    @Test(arguments: [
        // Locks.
        "SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE", "SELECT * FROM orders WHERE customer_id = 5 FOR KEY SHARE",
        "SELECT * FROM (SELECT * FROM orders WHERE customer_id = 5 FOR SHARE) o", "SELECT * FROM countries FOR UPDATE",
        "WITH o AS (SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE) SELECT * FROM o",
        // Writes.
        "INSERT INTO orders (id, customer_id) VALUES (1, 5)", "UPDATE orders SET total = 1 WHERE customer_id = 5", "DELETE FROM settings",
        "WITH gone AS (DELETE FROM orders WHERE customer_id = 5 RETURNING *) SELECT * FROM gone",
        "WITH made AS (INSERT INTO settings VALUES ('a', 'b') RETURNING *) SELECT * FROM made", "UPDATE countries SET name = 'x'",
        // Sequences, advisory locks, and everything else that is volatile.
        "SELECT nextval('ids')", "SELECT setval('ids', 1)", "SELECT last_value FROM ids", "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_try_advisory_xact_lock(1)", "SELECT pg_notify('a', 'b')", "SELECT random()", "SELECT gen_random_uuid()",
        "SELECT pg_sleep(0)", "SELECT clock_timestamp()", "SELECT txid_current()", "SELECT pg_current_wal_lsn()",
        "SELECT * FROM orders WHERE customer_id = 5 AND random() < 0.5", "SELECT * FROM generate_series(1, (random() * 3)::int)",
        "SELECT * FROM countries ORDER BY random()", "SELECT 1 LIMIT (SELECT random())::int", "SELECT pg_backend_pid()",
        // What one server has for itself, or what is not seen from here.
        "SELECT * FROM pg_catalog.pg_class", "SELECT * FROM pg_stat_activity", "SELECT pg_table_size('settings')", "SELECT * FROM ref_view",
        "SELECT * FROM local_view", "SELECT * FROM order_view WHERE customer_id = 5",
        // Not queries.
        "EXPLAIN SELECT * FROM orders WHERE customer_id = 5", "DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer_id = 5", "FETCH c",
        "COPY settings TO STDOUT", "BEGIN", "COMMIT", "SHOW search_path", "SET search_path = public", "LOCK settings", "VACUUM", "",
        "CREATE TABLE fresh (id int)", "SELECT pgmosaic.reference_table('fresh')", "DISCARD PLANS",
    ])
    func anythingElseMayNot(sql: String) throws {
        var context = Fixture.context(defaultPlacement: .local)
        context.shardCount = 2
        do {
            #expect(try !Fixture.plan(sql, in: context).mayReadReplica)
        } catch let error as StatementPlanner.TextError {
            // Refused is as good, where it is not for the words.
            if case .syntax(let syntax) = error { Issue.record("\(syntax)") }
        }
    }

    @Test func anUnloggedOrGuardedTableIsReadOnThePrimary() throws {
        var schema = Fixture.schema
        let name = Fixture.name("settings")
        for change in [{ (relation: inout Relation) in relation.isUnlogged = true }, { $0.hasRowSecurity = true }, { $0.hasRules = true }] {
            schema.relations[name] = Fixture.schema.relations[name]
            change(&schema.relations[name]!)
            #expect(try !Fixture.plan("SELECT * FROM settings", in: Fixture.context(schema: schema)).mayReadReplica)
        }
    }

    @Test func severalStatementsMayWhenEachOfThemMay() throws {
        #expect(try Fixture.plan("SELECT 1; SELECT * FROM countries", several: true).mayReadReplica)
        #expect(try !Fixture.plan("SELECT 1; SELECT random()", several: true).mayReadReplica)
        #expect(try !Fixture.plan("SELECT * FROM settings; DELETE FROM settings", several: true).mayReadReplica)
    }
}
