import LogicalReplication
import ManagerService
import PGChannel
import ReshardCore
import ShardModel
import Testing

/// Before rows are copied to a shard in use: who does not know of the job is shut out there.
@Suite(.reshardServers) struct ShieldTests {
    private static let target = ReshardKit.target

    private func fence(_ kit: ReshardKit) async throws -> String { try await kit.run("SELECT fence FROM pgmosaic.identity", on: Self.target) }

    @Test func whoIsNotAnnouncedLosesItsSessionAndGetsNone() async throws {
        var kit = try await ReshardKit.make(isJoining: false)
        let (stale, live) = (try await kit.connect(Self.target), try await kit.connect(Self.target))
        // Done again, with sessions that came meanwhile: they are noted by the second one.
        try #require(await kit.run(.prepare, as: .preparing) == .done)
        for _ in 0..<2 { #expect(await kit.run(.shield, as: .shielding) == .done) }
        #expect(try await fence(kit) == "7")
        let hello = "SELECT pgmosaic.hello('cluster', 't', 'router', $1)"
        let late = try await kit.connect(Self.target)
        await #expect(throws: PGClientError.self) { try await late.query(hello, [.integer(6)]) }
        _ = try await late.query(hello, [.integer(7)])
        for _ in 0..<2 { #expect(await kit.work.endStrangers(kit.record, sparing: [Self.target: [live.processID]], in: kit.catalog) == .done) }
        await #expect(throws: PGClientError.self) { try await stale.query("SELECT 1") }
        for client in [live, late] {
            _ = try await client.query("SELECT 1")
            await client.close()
        }
        await stale.close()
        #expect(await kit.run(.copy, as: .copying) == .done)
        #expect(try await kit.run("SELECT count(*) FROM pgmosaic.move_sessions", on: Self.target) == "0")
        await kit.work.stopAll()
    }

    /// By another manager, which knows of the sessions only what stands on the target.
    @Test func anotherManagerEndsWhatWasNoted() async throws {
        var kit = try await ReshardKit.make(isJoining: false)
        let stale = try await kit.connect(Self.target)
        try #require(await kit.run(.shield, as: .shielding) == .done)
        await kit.work.stopAll()
        let next = PostgresServerWork(box: nil, group: ReshardKit.group, settings: .patient)
        let late = try await kit.connect(Self.target)
        #expect(await next.endStrangers(kit.record, sparing: [:], in: kit.catalog) == .done)
        await #expect(throws: PGClientError.self) { try await stale.query("SELECT 1") }
        _ = try await late.query("SELECT 1")
        for client in [stale, late] { await client.close() }
        await next.stopAll()
    }

    /// Which has raised it higher.
    @Test func anotherJobsCutoverTakesTheFenceBackToNoLess() async throws {
        var kit = try await ReshardKit.make(isJoining: false)
        try #require(await kit.run(.prepare, as: .preparing) == .done)
        let other = JobRecord(
            id: JobID(kit.record.id.text + "x"), kind: .move, database: "app",
            moves: [VNodeMove(vnode: ReshardKit.kept[0], source: Self.target, target: ReshardKit.source)])
        #expect(await kit.work.fence(other, at: Epoch(20), sparing: [:], in: kit.catalog) == .done)
        kit.catalog.epoch = Epoch(15)
        #expect(await kit.run(.shield, as: .shielding) == .done)
        #expect(try await fence(kit) == "20")
        #expect(await kit.work.unfence(other, at: Epoch(20), in: kit.catalog) == .done)
        #expect(try await fence(kit) == "15")
        await kit.work.stopAll()
    }
}
