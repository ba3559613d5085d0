import RoutePlanning
import ShardModel
import Testing

/// What a user may run who has only the right to read.
@Suite struct ReaderTests {
    private func isForReaders(_ sql: String, shards: Int) throws -> Bool {
        var context = Fixture.context(defaultPlacement: .local)
        context.shardCount = shards
        do {
            return try Fixture.plan(sql, in: context).isForReaders
        } catch let error as StatementPlanner.TextError {
            if case .syntax(let syntax) = error { Issue.record("\(syntax)") }
            // Refused to everybody.
            return false
        }
    }

    @Test(arguments: [
        "SELECT * FROM orders WHERE customer_id = 5", "SELECT * FROM countries", "SELECT * FROM settings", "SELECT 1", "SELECT random(), now()",
        "SELECT * FROM pg_catalog.pg_class", "EXPLAIN SELECT * FROM orders WHERE customer_id = 5", "EXPLAIN INSERT INTO settings VALUES ('a', 'b')",
        "COPY orders TO STDOUT", "COPY settings TO STDOUT", "COPY (SELECT * FROM settings) TO STDOUT", "BEGIN", "BEGIN READ ONLY", "COMMIT", "ROLLBACK",
        "SAVEPOINT s", "SET search_path = public", "SHOW search_path", "RESET ALL", "SET ROLE other", "RESET ROLE", "DISCARD ALL", "PREPARE p AS SELECT 1", "EXECUTE p(1)", "DEALLOCATE p",
        "DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer_id = 5", "FETCH c", "MOVE c", "CLOSE c", "",
    ])
    func whatOnlyReadsIsForThem(sql: String) throws {
        #expect(try isForReaders(sql, shards: 2))
        #expect(try isForReaders(sql, shards: 1))
    }

    @Test(arguments: [
        "INSERT INTO orders (id, customer_id) VALUES (1, 5)", "UPDATE orders SET total = 1 WHERE customer_id = 5", "DELETE FROM settings",
        "UPDATE countries SET name = 'x'", "WITH gone AS (DELETE FROM settings RETURNING *) SELECT * FROM gone",
        "SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE", "SELECT * FROM settings FOR KEY SHARE", "SELECT nextval('ids')", "SELECT setval('ids', 1)",
        "SELECT pg_notify('a', 'b')", "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock_all()", "SELECT pg_advisory_xact_lock(1)",
        "NOTIFY a", "LISTEN a", "UNLISTEN *", "LOCK settings", "VACUUM", "ANALYZE", "TRUNCATE settings", "CREATE TEMP TABLE fresh (id int)", "CREATE TABLE fresh (id int)", "DROP TABLE settings",
        "COPY settings FROM STDIN", "COPY orders FROM STDIN", "COPY (DELETE FROM settings RETURNING *) TO STDOUT", "COPY settings TO '/tmp/x'",
        "COPY settings TO PROGRAM 'cat'", "EXPLAIN ANALYZE DELETE FROM settings", "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "SELECT * INTO copied FROM settings", "CREATE TABLE copied AS SELECT 1", "SELECT pgmosaic.reference_table('fresh')", "SELECT my_function()",
        "SELECT pg_terminate_backend(1)", "SELECT lo_create(0)", "DO $$ BEGIN END $$", "CALL my_function()", "SET SESSION AUTHORIZATION other", "EXECUTE p(nextval('ids'))",
        "GRANT SELECT ON settings TO other", "MERGE INTO settings s USING audit a ON s.name = a.message WHEN MATCHED THEN DELETE",
    ])
    func whatWritesOrMightIsNot(sql: String) throws {
        #expect(try !isForReaders(sql, shards: 2))
        #expect(try !isForReaders(sql, shards: 1))
    }

    /// With one shard a query of all keys is run though no key is named: it is no less a read.
    @Test(arguments: [
        ("SELECT count(*) FROM orders", true), ("SELECT * FROM orders, settings", true), ("SELECT * FROM orders FOR UPDATE", false),
        ("SELECT nextval('ids'), * FROM orders", false), ("DELETE FROM orders", false), ("SELECT pg_notify('a', 'b') FROM orders", false),
        ("WITH gone AS (DELETE FROM settings RETURNING *) SELECT * FROM orders, gone", false), ("SELECT my_function(), * FROM orders", false),
        ("SELECT * FROM wild_view", false), ("SELECT * INTO copied FROM orders", false),
    ])
    func queriesOfAllKeysOfOneShardAreLookedAt(sql: String, isRead: Bool) throws {
        #expect(try isForReaders(sql, shards: 1) == isRead)
    }
}
