import LogicalReplication
import ManagerService
import PGChannel
import PostgresProcess
import ReshardCore
import ShardModel
import ShardTransfer
import Synchronization
import Testing
import TransferCore

/// Effects that are cancelled, or lose a server in the middle, and are done again.
@Suite(.serialized, .reshardServers) struct InterruptionTests {
    private static func slow() -> PostgresServerWork.Settings {
        var settings = PostgresServerWork.Settings.patient
        settings.copyLoad.bytesPerSecondMax = 300_000
        return settings
    }

    /// A copy that has begun to write.
    private func begin(_ kit: inout ReshardKit) async throws -> Task<JobOutcome, Never> {
        for (effect, step) in [(JobEffect.check, JobStep.checking), (.prepare, .preparing)] { try #require(await kit.run(effect, as: step) == .done) }
        await kit.enter(.copying)
        let begun = kit
        let copy = Task { await begun.work.run(.copy, EffectID(begun.record.version), of: begun.record, in: begun.catalog) }
        for _ in 0..<6000 {
            let progress = await kit.work.progress(of: kit.record.id)
            if let progress, progress.bytesRead > 0 { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        return copy
    }

    private func goOn(_ kit: ReshardKit) async throws {
        // Another manager, which is in no hurry to be slow.
        await kit.work.stopAll()
        var next = ReshardKit(
            databases: kit.databases, work: PostgresServerWork(box: nil, group: ReshardKit.group, settings: .patient), catalog: kit.catalog, record: kit.record)
        let writer = Writer(next)
        #expect(await next.run(.copy, as: .copying) == .done)
        #expect(await next.run(.catchUp(pause: .zero), as: .streaming) == .done)
        #expect(await next.run(.verify, as: .verifying) == .done)
        #expect(await next.run(.arm, as: .arming) == .done)
        try await next.cutOver()
        _ = try await writer.stop()
        try await next.expectEqual()
        try await next.expectNone(ReshardKit.kept, on: ReshardKit.target)
        await next.work.stopAll()
    }

    /// As the machine does: what is unavailable is tried again.
    private func followsAgain(_ kit: inout ReshardKit) async throws {
        var outcome = JobOutcome.unavailable("")
        for _ in 0..<60 {
            outcome = await kit.run(.catchUp(pause: .zero), as: .streaming)
            guard case .unavailable = outcome else { break }
            try await Task.sleep(for: .seconds(1))
        }
        #expect(outcome == .done)
    }

    @Test(arguments: [true, false]) func aCopyThatIsCancelledEndsSoonAndIsDoneAgain(isJoining: Bool) async throws {
        var kit = try await ReshardKit.make(isJoining: isJoining, settings: Self.slow())
        if !isJoining { try await kit.run("INSERT INTO countries SELECT 'c' || g, 'name ' || g FROM generate_series(1, 40) g", on: ReshardKit.target) }
        let copy = try await begin(&kit)
        copy.cancel()
        guard case .unavailable = await copy.value else {
            Issue.record("a copy that was cancelled has another outcome")
            return
        }
        if isJoining { return try await goOn(kit) }
        kit.record.ledger = JobNames.planned(kit.record, in: kit.catalog)
        #expect(await kit.run(.clean(kit.record.remains(after: .cancelled)), as: .cleaning(.cancelled)) == .done)
        try await kit.expectNone(ReshardKit.vnodes, on: ReshardKit.target)
        #expect(try await kit.leftovers() == [])
        await kit.work.stopAll()
    }

    @Test func aCopyWhoseSessionsAreEndedIsUnavailableAndIsDoneAgain() async throws {
        var kit = try await ReshardKit.make(settings: Self.slow())
        let copy = try await begin(&kit)
        try await kit.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", on: ReshardKit.target)
        guard case .unavailable(let reason) = await copy.value else {
            Issue.record("a copy without sessions has another outcome")
            return
        }
        #expect(reason.contains("target"), "\(reason)")
        try await goOn(kit)
    }

    @Test func aTargetThatIsKilledAndComesBackIsFollowedOn() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        let writer = Writer(kit)
        let (server, _) = try #require(kit.databases[ReshardKit.target])
        await server.kill()
        guard case .unavailable(let reason) = await kit.run(.verify, as: .verifying) else {
            Issue.record("a comparison without a target")
            return
        }
        #expect(!reason.isEmpty)
        try await server.start()
        try await followsAgain(&kit)
        #expect(await kit.run(.verify, as: .verifying) == .done)
        #expect(await kit.run(.arm, as: .arming) == .done)
        try await kit.cutOver()
        _ = try await writer.stop()
        try await kit.expectEqual()
        await kit.work.stopAll()
    }

    // MARK: what stops a job

    @Test func aDifferenceIsNoEquality() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        try await kit.run("UPDATE wide SET long = 'other'", on: ReshardKit.target)
        guard case .impossible(let reason) = await kit.run(.verify, as: .verifying) else {
            Issue.record("no difference was found")
            return
        }
        #expect(reason.contains("public.wide") && !reason.contains("public.plain") && !reason.contains("other'"))
        await kit.work.stopAll()
    }

    @Test func aReferenceTableThatDiffersIsFound() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        try await kit.run("UPDATE countries SET name = 'other' WHERE code = 'c1'", on: ReshardKit.target)
        guard case .impossible(let reason) = await kit.run(.verify, as: .verifying) else {
            Issue.record("no difference was found")
            return
        }
        #expect(reason.contains("public.countries"))
        await kit.work.stopAll()
    }

    @Test func definitionsThatWereChangedOnOneSideStopTheJob() async throws {
        var kit = try await ReshardKit.make()
        try await kit.bring()
        try await kit.run("CREATE INDEX behind ON plain (n)", on: ReshardKit.source)
        guard case .impossible(let reason) = await kit.run(.arm, as: .arming) else {
            Issue.record("DDL was not noticed")
            return
        }
        #expect(reason.contains("public.plain"))
        await kit.work.stopAll()
    }

    // MARK: the cutover

    @Test func aFenceEndsWhomItDoesNotSpareAndIsTakenBackToWhatItWas() async throws {
        var kit = try await ReshardKit.make()
        try #require(await kit.run(.prepare, as: .preparing) == .done)
        try await kit.run("UPDATE pgmosaic.identity SET fence = 3", on: ReshardKit.source)
        let (spared, ended) = (try await kit.connect(ReshardKit.source), try await kit.connect(ReshardKit.source))
        await kit.enter(.fencing)
        for _ in 0..<2 {
            #expect(await kit.work.fence(kit.record, at: Epoch(9), sparing: [ReshardKit.source: [spared.processID]], in: kit.catalog) == .done)
        }
        #expect(try await spared.query("SELECT fence FROM pgmosaic.identity").rows.first?.text(0) == "9")
        await #expect(throws: PGClientError.self) { try await ended.query("SELECT 1") }
        // Never lowered, and taken back by its own attempt only.
        #expect(await kit.work.fence(kit.record, at: Epoch(8), sparing: [ReshardKit.source: [spared.processID]], in: kit.catalog) == .done)
        #expect(await kit.work.unfence(kit.record, at: Epoch(8), in: kit.catalog) == .done)
        #expect(try await spared.query("SELECT fence FROM pgmosaic.identity").rows.first?.text(0) == "9")
        for _ in 0..<2 { #expect(await kit.work.unfence(kit.record, at: Epoch(9), in: kit.catalog) == .done) }
        #expect(try await spared.query("SELECT fence FROM pgmosaic.identity").rows.first?.text(0) == "3")
        await spared.close()
        await kit.work.stopAll()
    }

    @Test func aPreparedTransactionKeepsTheEndFromBeingKnown() async throws {
        var settings = PostgresServerWork.Settings.patient
        settings.preparedLimit = .milliseconds(50)
        var kit = try await ReshardKit.make(settings: settings)
        let name = "pgmosaic:\(kit.record.id)"
        try await kit.run("BEGIN; INSERT INTO tally VALUES (9000, 1); PREPARE TRANSACTION '\(name)'", on: ReshardKit.source)
        guard case .busy(let reason) = await kit.run(.measure, as: .measuring) else {
            Issue.record("the end was known")
            return
        }
        #expect(reason.contains(name))
        try await kit.run("ROLLBACK PREPARED '\(name)'", on: ReshardKit.source)
        guard case .ended(let ends) = await kit.run(.measure, as: .measuring) else {
            Issue.record("the end was not known")
            return
        }
        #expect(Set(ends.keys) == [ReshardKit.source])
        await kit.work.stopAll()
    }

    /// At each moment something is prepared behind the fence, by a session that it spares: of other vnodes, as its router holds what concerns the moved ones.
    @Test func whatIsPreparedBehindTheFenceIsNotWaitedFor() async throws {
        var settings = PostgresServerWork.Settings.patient
        settings.preparedLimit = .seconds(30)
        var kit = try await ReshardKit.make(settings: settings)
        try #require(await kit.run(.prepare, as: .preparing) == .done)
        let chain = try await PreparedChain(kit)
        let old = "pgmosaic-old:\(kit.record.id)"
        try await kit.run("BEGIN; INSERT INTO tally VALUES (9000, 1); PREPARE TRANSACTION '\(old)'", on: ReshardKit.source)
        await kit.enter(.fencing)
        #expect(await kit.work.fence(kit.record, at: Epoch(9), sparing: [ReshardKit.source: chain.processes], in: kit.catalog) == .done)
        await kit.enter(.measuring)
        let (work, record, catalog) = (kit.work, kit.record, kit.catalog)
        let isMeasured = Mutex(false)
        let measured = Task {
            let outcome = await work.run(.measure, EffectID(record.version), of: record, in: catalog)
            isMeasured.withLock { $0 = true }
            return outcome
        }
        // The one that stood at the fence is waited for, however many come and go.
        try await chain.awaitLinks(40)
        let isEarly = isMeasured.withLock { $0 }
        #expect(!isEarly)
        let text = try await kit.run("SELECT pg_current_wal_insert_lsn()", on: ReshardKit.source)
        let before = try #require(LSN(text: text))
        try await kit.run("COMMIT PREPARED '\(old)'", on: ReshardKit.source)
        let outcome = await measured.value
        guard case .ended(let ends) = outcome else {
            Issue.record("the end was not known: \(outcome)")
            return
        }
        let end = try #require(ends[ReshardKit.source])
        #expect(end > before)
        try await chain.stop()
        await kit.work.stopAll()
    }
}

/// Transactions that are prepared and committed by two sessions, the next always before the one before it has ended.
private final class PreparedChain: Sendable {
    private struct State {
        var links = 0
        var isOver = false
    }
    private let state = Mutex(State())
    private let clients: [PGClient]
    private let name: String
    private let task = Mutex<Task<Void, any Error>?>(nil)

    init(_ kit: ReshardKit) async throws {
        clients = [try await kit.connect(ReshardKit.source), try await kit.connect(ReshardKit.source)]
        name = "chain-\(kit.record.id)-"
        try await Self.prepare(name + "0", 0, clients[0])
        let running = Task { try await self.run() }
        task.withLock { $0 = running }
    }

    private func run() async throws {
        var number = 0
        while !state.withLock(\.isOver) {
            try await Self.prepare(name + "\(number + 1)", number + 1, clients[1])
            _ = try await clients[0].execute("COMMIT PREPARED '\(name)\(number)'")
            number += 1
            state.withLock { $0.links = number }
        }
        _ = try await clients[0].execute("COMMIT PREPARED '\(name)\(number)'")
    }

    private static func prepare(_ name: String, _ number: Int, _ client: PGClient) async throws {
        _ = try await client.execute("BEGIN")
        _ = try await client.execute("INSERT INTO wide VALUES (\(100_000 + number), 'x')")
        _ = try await client.execute("PREPARE TRANSACTION '\(name)'")
    }

    var processes: Set<Int32> { Set(clients.map(\.processID)) }

    /// Until so many more have ended.
    func awaitLinks(_ number: Int) async throws {
        func count() -> Int { state.withLock(\.links) }
        let goal = count() + number
        let deadline = ContinuousClock.now + .seconds(60)
        while count() < goal {
            try #require(ContinuousClock.now < deadline, "the chain has stopped")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    func stop() async throws {
        state.withLock { $0.isOver = true }
        try await task.withLock(\.self)?.value
        for client in clients { await client.close() }
    }
}
