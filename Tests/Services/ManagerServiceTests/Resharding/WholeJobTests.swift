import ManagerService
import ReshardCore
import ShardModel
import ShardTransfer
import Testing

/// Whole jobs, as their machine orders the effects, under writers.
@Suite(.reshardServers) struct WholeJobTests {
    private func run(
        _ requests: [JobStep: JobRequest], crashes: Bool = false, isJoining: Bool = true, then check: (ReshardKit, JobLoop, JobEnd?) async throws -> Void
    ) async throws {
        let kit = try await ReshardKit.make(isJoining: isJoining)
        if !isJoining { try await kit.run("INSERT INTO countries SELECT 'c' || g, 'name ' || g FROM generate_series(1, 40) g", on: ReshardKit.target) }
        let loop = JobLoop(kit)
        async let first: Void = loop.router.write(seed: 0)
        async let second: Void = loop.router.write(seed: 1000)
        let result: Result<JobEnd?, any Error>
        do { result = .success(try await loop.run(crashesAtEachStep: crashes, asking: requests)) } catch { result = .failure(error) }
        await loop.router.awaitWrites(100)
        loop.router.stop()
        _ = await (first, second)
        let end = try result.get()
        try await loop.router.check()
        try await check(kit, loop, end)
        #expect(try await kit.leftovers() == [])
        await loop.work.stopAll()
    }

    private static func expectCompleted(_ kit: ReshardKit, _ loop: JobLoop, _ end: JobEnd?) async throws {
        #expect(end == .completed, "\(loop.record.reason ?? ""), \(loop.steps)")
        try await kit.expectNone(ReshardKit.moved, on: ReshardKit.source)
        try await kit.expectNone(ReshardKit.kept, on: ReshardKit.target)
        let digest = Corpus.full.referenceDigest
        #expect(try await kit.run(digest, on: ReshardKit.source) == kit.run(digest, on: ReshardKit.target))
        let counts = try await kit.compare(ReshardKit.moved, ReshardKit.target, ReshardKit.target).map(\.rows)
        #expect(counts.allSatisfy { $0 > 0 })
    }

    private static func expectCancelled(_ kit: ReshardKit, _ loop: JobLoop, _ end: JobEnd?) async throws {
        #expect(end == .cancelled, "\(loop.record.reason ?? ""), \(loop.steps)")
        #expect(try await kit.run("SELECT count(*) FROM plain", on: ReshardKit.source) == "1500")
    }

    @Test func aJobThatIsFinishedIsCompleted() async throws {
        try await run([.guarding: .finish]) { try await Self.expectCompleted($0, $1, $2) }
    }

    @Test func aJobIntoAShardInUseIsCompleted() async throws {
        try await run([.guarding: .finish], isJoining: false) { try await Self.expectCompleted($0, $1, $2) }
    }

    @Test func aManagerThatEndsAtEachStepChangesNothing() async throws {
        try await run([.guarding: .finish], crashes: true) { try await Self.expectCompleted($0, $1, $2) }
    }

    /// What was written to the new owner comes back.
    @Test(arguments: [true, false]) func aJobThatIsReversedLosesNothing(isJoining: Bool) async throws {
        try await run([.guarding: .reverse], isJoining: isJoining) { kit, loop, end in
            #expect(end == .cancelled, "\(loop.record.reason ?? ""), \(loop.steps)")
            #expect(loop.steps.contains(.guarding))
            try await kit.expectNone(ReshardKit.moved, on: ReshardKit.target)
            #expect(try await kit.run("SELECT count(*) FROM plain", on: ReshardKit.source) == "1500")
        }
    }


    @Test(arguments: [JobStep.preparing, .copying, .streaming, .verifying, .arming, .holding, .measuring])
    func aJobThatIsCancelledLeavesNothing(_ step: JobStep) async throws {
        try await run([step: .cancel]) { kit, loop, end in
            try await Self.expectCancelled(kit, loop, end)
            #expect(try await kit.run("SELECT to_regclass('plain') IS NULL", on: ReshardKit.target) == "t")
        }
    }
}
