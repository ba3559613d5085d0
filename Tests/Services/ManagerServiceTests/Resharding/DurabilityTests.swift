import LogicalReplication
import ManagerService
import PostgresProcess
import ReshardCore
import ShardModel
import Testing

/// Servers that put nothing on disk of their own accord, and crash.
@Suite(.reshardServers, .serialized) struct DurabilityTests {
    /// For the kit's databases nothing that is not asked for is flushed, except by chance.
    private func make() async throws -> ReshardKit {
        let kit = try await ReshardKit.make()
        for shard in [ReshardKit.source, ReshardKit.target] {
            let (server, database) = try #require(kit.databases[shard])
            try await server.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
            try await server.psql("SELECT pg_reload_conf()")
            // One that has slept for long is woken by the next commit, and flushes it.
            try await server.psql("SET synchronous_commit = off; CREATE TABLE IF NOT EXISTS woken ()")
            try await server.psql("ALTER DATABASE \"\(database)\" SET synchronous_commit = off")
        }
        return kit
    }

    private func crash(_ kit: ReshardKit, _ shard: ShardID) async throws {
        let (server, _) = try #require(kit.databases[shard])
        await server.kill()
        try await server.start()
    }

    @Test func aFenceThatWasRaisedOutlivesACrash() async throws {
        var kit = try await make()
        try #require(await kit.run(.prepare, as: .preparing) == .done)
        await kit.enter(.fencing)
        #expect(await kit.work.fence(kit.record, at: Epoch(9), sparing: [:], in: kit.catalog) == .done)
        try await crash(kit, ReshardKit.source)
        #expect(try await kit.run("SELECT fence FROM pgmosaic.identity", on: ReshardKit.source) == "9")
        await kit.work.stopAll()
    }

    /// Or what is written there after the switch would not come back: the log is written anew over what was lost.
    @Test func theWayBackBeginsWhereTheNewOwnersLogIsOnDisk() async throws {
        var kit = try await make()
        try await kit.bring()
        try #require(await kit.run(.arm, as: .arming) == .done)
        let (server, _) = try #require(kit.databases[ReshardKit.target])
        try await server.psql("CREATE TABLE noise (t text)")
        async let noise: String? = try? await server.psql(
            """
            SET synchronous_commit = off;
            DO $$ BEGIN LOOP INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 4); COMMIT; PERFORM pg_sleep(0.002); END LOOP; END $$
            """)
        for _ in 0..<2400 where try await server.psql("SELECT count(*) > 10 FROM noise") != "t" { try await Task.sleep(for: .milliseconds(50)) }
        try await kit.cutOver()
        try await crash(kit, ReshardKit.target)
        _ = await noise
        let stored = try await kit.run("SELECT position FROM pgmosaic.move_positions WHERE job LIKE '%-back'", on: ReshardKit.source)
        let end = try await kit.run("SELECT pg_current_wal_flush_lsn()", on: ReshardKit.target)
        let (begins, lost) = (try #require(LSN(text: stored)), try #require(LSN(text: end)))
        #expect(begins.value <= lost.value, "the way back begins at \(stored), and the log ends at \(end)")
        await kit.work.stopAll()
    }
}
