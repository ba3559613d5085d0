import ManagerService
import PGChannel
import ReshardCore
import Synchronization
import Testing

/// A manager that was stopped, and goes on when another one has the job.
@Suite(.reshardServers) struct TakeoverTests {
    private static let objects = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT count(*) FROM pg_publication"

    private func stale(_ kit: ReshardKit) -> ReshardKit {
        let work = PostgresServerWork(box: nil, group: ReshardKit.group, settings: .patient) { _ in false }
        return ReshardKit(databases: kit.databases, work: work, catalog: kit.catalog, record: kit.record)
    }

    /// Its catalog says that the target joins, and owns nothing.
    @Test func whoHasLostTheJobRemovesNothing() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        let rows = try await kit.run("SELECT count(*) FROM plain", on: ReshardKit.target)
        let there = try await kit.run(Self.objects, on: ReshardKit.source)
        #expect(Int(rows) ?? 0 > 100)
        var stale = stale(kit)
        let all = JobNames.planned(kit.record, in: kit.catalog) + JobNames.wayBack(kit.record)
        for (effect, step) in [
            (JobEffect.prepare, JobStep.preparing), (.shield, .shielding), (.copy, .copying), (.arm, .arming), (.clean(all), .cleaning(.cancelled)),
        ] {
            let outcome = await stale.run(effect, as: step)
            guard case .unavailable(let reason) = outcome else {
                Issue.record("\(step): \(outcome)")
                continue
            }
            #expect(reason.contains("another manager has the job"), "\(reason)")
        }
        await stale.work.stopAll()
        #expect(try await kit.run("SELECT count(*) FROM plain", on: ReshardKit.target) == rows)
        #expect(try await kit.run(Self.objects, on: ReshardKit.source) == there)
        #expect(await kit.run(.verify, as: .verifying) == .done)
        await kit.work.stopAll()
    }

    /// Its stream is ended by its successor, and begins again of its own accord: it must neither read the slot nor write to the target then.
    @Test func whoHasLostTheJobFollowsNoMore() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        await kit.work.stopAll()
        let isOurs = Mutex(true)
        let earlier = PostgresServerWork(box: nil, group: ReshardKit.group, settings: .patient) { _ in isOurs.withLock { $0 } }
        var stale = ReshardKit(databases: kit.databases, work: earlier, catalog: kit.catalog, record: kit.record)
        #expect(await stale.run(.catchUp(pause: .zero), as: .streaming) == .done)
        isOurs.withLock { $0 = false }
        kit.record.version = stale.record.version + 1
        #expect(await kit.run(.catchUp(pause: .zero), as: .streaming) == .done)
        let reader = try await kit.run(Self.reader, on: ReshardKit.source)
        #expect(Int(reader) != nil)
        let deadline = ContinuousClock.now + .seconds(60)
        // It has tried, and tries again.
        while true {
            let stream = await earlier.progress(of: kit.record.id)?.streams.first
            if stream?.reason?.contains("another manager has the job") == true { break }
            try #require(ContinuousClock.now < deadline, "\(String(describing: stream))")
            try await Task.sleep(for: .milliseconds(20))
        }
        try await Task.sleep(for: .milliseconds(500))
        #expect(try await kit.run(Self.reader, on: ReshardKit.source) == reader)
        #expect(await kit.run(.verify, as: .verifying) == .done)
        await earlier.stopAll()
        await kit.work.stopAll()
    }

    private static let reader = "SELECT active_pid FROM pg_replication_slots WHERE database = current_database() AND active"

    @Test func whoTakesAJobOverEndsWhatWasOpen() async throws {
        var kit = try await ReshardKit.make()
        var endpoint = try kit.endpoint(ReshardKit.target)
        endpoint.applicationName = JobNames(kit.record.id).session
        let other = try await PGClient.connect(to: endpoint, on: ReshardKit.group)
        _ = try await other.execute("BEGIN; CREATE TABLE plain (id int)")
        #expect(await kit.run(.check, as: .checking) == .done)
        await #expect(throws: PGClientError.self) { try await other.query("SELECT 1") }
        await other.close()
        await kit.work.stopAll()
    }
}
