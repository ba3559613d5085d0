import ManagerService
import PGChannel
import ReshardCore
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
        for (effect, step) in [(JobEffect.prepare, JobStep.preparing), (.copy, .copying), (.arm, .arming), (.clean(all), .cleaning(.cancelled))] {
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
