import ManagerService
import PGChannel
import ReshardCore
import ShardModel
import ShardTransfer
import Synchronization
import Testing

/// Each effect by itself, on two real servers.
@Suite(.reshardServers) struct ServerWorkTests {
    /// Everything up to the switch, each effect done twice, under a writer; then the sources are cleaned.
    @Test func aJoiningTargetGetsEverythingWhileTheSourceIsWrittenTo() async throws {
        var kit = try await ReshardKit.make()
        let writer = Writer(kit)
        for (effect, step) in [(JobEffect.check, JobStep.checking), (.prepare, .preparing), (.copy, .copying)] {
            for _ in 0..<2 { try #require(await kit.run(effect, as: step) == .done) }
        }
        for _ in 0..<2 { #expect(await kit.run(.catchUp(pause: .zero), as: .streaming) == .done) }
        for _ in 0..<2 { #expect(await kit.run(.verify, as: .verifying) == .done) }
        for _ in 0..<2 { #expect(await kit.run(.arm, as: .arming) == .done) }
        let progress = try #require(await kit.work.progress(of: kit.record.id))
        #expect(progress.streams.first?.state == .streaming && progress.rowsCopied > 2000 && progress.tables.count == 9 && progress.rowsEstimated > 2000)
        #expect(progress.tables.allSatisfy { $0.rowsCopied > 0 && $0.bytesCopied > 0 })

        try await kit.cutOver()
        #expect(try await writer.stop() > 50)
        try await kit.expectEqual()
        try await kit.expectNone(ReshardKit.kept, on: ReshardKit.target)
        #expect(try await kit.run("SELECT to_regclass('notes_home') IS NULL AND to_regclass('of_home') IS NULL", on: ReshardKit.target) == "t")
        // Its own slice of the sequence, and keys and triggers as on the source.
        #expect(try await kit.run("SELECT nextval('counted')", on: ReshardKit.target) == "\((1 << 40) + 1)")
        let objects = "SELECT count(*) FROM pg_indexes WHERE schemaname IN ('public', 'My Schema') AND tablename <> 'notes_home'"
        #expect(try await kit.run(objects, on: ReshardKit.target) == kit.run(objects, on: ReshardKit.source))

        kit.catalog = kit.switched()
        kit.record.ledger = JobNames.planned(kit.record, in: kit.catalog) + JobNames.wayBack(kit.record)
        let entries = kit.record.remains(after: .completed)
        for _ in 0..<2 { #expect(await kit.run(.clean(entries), as: .cleaning(.completed)) == .done) }
        try await kit.expectNone(ReshardKit.moved, on: ReshardKit.source)
        try await kit.expectNone(ReshardKit.kept, on: ReshardKit.target)
        #expect(try await kit.run("SELECT count(*) > 300 FROM plain", on: ReshardKit.source) == "t")
        #expect(try await kit.run("SELECT count(*) FROM countries", on: ReshardKit.source) != "0")
        #expect(try await kit.leftovers() == [])
        await kit.work.stopAll()
    }

    @Test func aTargetInUseKeepsItsOwnRowsAndFiresNoTrigger() async throws {
        var kit = try await ReshardKit.make(isJoining: false)
        // The target has a vnode, and rows, of its own.
        kit.catalog.shards[ReshardKit.source]?.vnodes = Array(ReshardKit.vnodes.dropFirst(1))
        kit.catalog.shards[ReshardKit.target]?.vnodes = [ReshardKit.vnodes[0]]
        try await kit.run("INSERT INTO whole SELECT g, 77, '(7,7)' FROM generate_series(1, 500) g", on: ReshardKit.target)
        try await kit.run("INSERT INTO countries VALUES ('c1', 'of the target')", on: ReshardKit.target)
        let own = try await kit.compare([ReshardKit.vnodes[0]], ReshardKit.target, ReshardKit.target)
        let writer = Writer(kit)
        try await kit.bring()
        // Again: what the first one has copied goes, and nothing else.
        #expect(await kit.run(.copy, as: .copying) == .done)
        #expect(await kit.run(.catchUp(pause: .zero), as: .streaming) == .done)
        #expect(await kit.run(.verify, as: .verifying) == .done)
        #expect(await kit.run(.arm, as: .arming) == .done)
        try await kit.cutOver()
        _ = try await writer.stop()
        for outcome in try await kit.compare(ReshardKit.moved, ReshardKit.source, ReshardKit.target) { #expect(outcome.isEqual && outcome.rows > 0, "\(outcome)") }
        #expect(try await kit.compare([ReshardKit.vnodes[0]], ReshardKit.target, ReshardKit.target) == own)
        #expect(own.reduce(0) { $0 + $1.rows } > 10)
        // Its reference tables are the routers' affair.
        #expect(try await kit.run("SELECT name FROM countries", on: ReshardKit.target) == "of the target")

        // Cancelled in the end: only what came goes.
        kit.record.ledger = JobNames.planned(kit.record, in: kit.catalog) + JobNames.wayBack(kit.record)
        #expect(kit.record.ledger.contains(.rows(ReshardKit.target)))
        let entries = kit.record.remains(after: .cancelled)
        for _ in 0..<2 { #expect(await kit.run(.clean(entries), as: .cleaning(.cancelled)) == .done) }
        try await kit.expectNone(ReshardKit.moved, on: ReshardKit.target)
        #expect(try await kit.compare([ReshardKit.vnodes[0]], ReshardKit.target, ReshardKit.target) == own)
        #expect(try await kit.leftovers() == [])
        await kit.work.stopAll()
    }

    @Test func aJoiningTargetThatJoinsNoMoreIsEmpty() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        kit.record.ledger = JobNames.planned(kit.record, in: kit.catalog) + JobNames.wayBack(kit.record)
        let entries = kit.record.remains(after: .cancelled)
        for _ in 0..<2 { #expect(await kit.run(.clean(entries), as: .cleaning(.cancelled)) == .done) }
        let left = """
            SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgmosaic')
            """
        #expect(try await kit.run(left, on: ReshardKit.target) == "0")
        #expect(try await kit.run("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace", on: ReshardKit.target) == "0")
        #expect(try await kit.run("SELECT to_regtype('mood') IS NULL AND to_regclass('pgmosaic.identity') IS NOT NULL", on: ReshardKit.target) == "t")
        try await kit.expectRowsOfTheCorpus()
        #expect(try await kit.leftovers() == [])
        await kit.work.stopAll()
    }

    /// A shard that is part of the database by now, whatever the record says of a schema.
    @Test func theDefinitionsOfAShardInUseAreNotRemoved() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        kit.record.ledger = JobNames.planned(kit.record, in: kit.catalog)
        kit.catalog = kit.switched()
        let entries = kit.record.remains(after: .failed)
        #expect(entries.contains { if case .schema = $0 { true } else { false } })
        #expect(await kit.run(.clean(entries), as: .cleaning(.failed)) == .done)
        let outcomes = try await kit.compare(ReshardKit.moved, ReshardKit.source, ReshardKit.target)
        #expect(outcomes.allSatisfy { $0.isEqual && $0.rows > 0 })
        await kit.work.stopAll()
    }
}

extension ReshardKit {
    /// Fence, end, and the end reached.
    mutating func cutOver(sparing: [ShardID: Set<Int32>] = [:]) async throws {
        await enter(.fencing)
        for _ in 0..<2 { try #require(await work.fence(record, at: Epoch(9), sparing: sparing, in: catalog) == .done) }
        var ends = JobOutcome.done
        for _ in 0..<2 { ends = await run(.measure, as: .measuring) }
        guard case .ended(let positions) = ends else {
            Issue.record("measure: \(ends)")
            return
        }
        for _ in 0..<2 { try #require(await run(.reach(positions), as: .catchingUp) == .done) }
    }
}

extension ReshardKit {
    func expectRowsOfTheCorpus() async throws {
        #expect(try await run("SELECT count(*) FROM plain", on: Self.source) == "1500")
        #expect(try await run("SELECT count(*) FROM countries", on: Self.source) == "40")
    }
}
