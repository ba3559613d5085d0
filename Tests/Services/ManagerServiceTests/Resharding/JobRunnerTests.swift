import CatalogStore
import LogicalReplication
import ManagerService
import ReshardCore
import ServerConfig
import ShardModel
import Telemetry
import Testing

/// Jobs over a real catalog, with servers that do as the test says.
@Suite struct JobRunnerTests {
    private static let moved: Set<UInt32> = [3, 4]

    private func expectOwners(_ kit: JobKit, moved owner: String) async throws {
        let owners = try await kit.owners()
        for (vnode, shard) in owners { #expect(shard == (Self.moved.contains(vnode) ? owner : vnode <= 4 ? "s1" : "s2")) }
        #expect(owners.count == 8)
    }

    @Test func aJobThatGoesWellSwitchesTheOwnersAndIsFinished() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork()
            try await kit.supervised(by: work) { supervisor in
                supervisor.poke()
                try await kit.until(is: .guarding)
                try await expectOwners(kit, moved: "s3")
                let catalog = try await kit.store.load()
                #expect(catalog.holds.isEmpty && catalog.shards[JobKit.s3]?.status == .active)
                #expect(
                    work.calls.prefix(11) == [.check, .prepare, .shield, .endStrangers, .copy, .catchUp, .verify, .arm, .fence, .measure, .reach])
                #expect(work.followed.contains(.streaming) && work.followed.contains(.fencing))
                #expect(await supervisor.ask(.cancel, of: "j1") == .rejected)
                #expect(await supervisor.ask(.finish, of: "j1") == .accepted)
                try await kit.until(is: .over(.completed))
                #expect(work.cleaned == [[
                    .slot(JobKit.s1, name: "slot_j1"), .slot(JobKit.s3, name: "back_j1"), .publication(JobKit.s1, name: "pub_j1"), .rows(JobKit.s1),
                ]])
                let shown = try #require(try await kit.store.load().jobs["j1"].flatMap { StoredJob($0) })
                #expect(shown.facts.switchedAt == 1_700_000_000 && (shown.facts.pauseMilliseconds ?? 0) > 0)
                #expect(supervisor.metricSnapshot().series["pgmosaic_reshard_pause_seconds"]?.count == 1)
            }
        }
    }

    /// Steps whose failure is tried again, and what is called in them.
    @Test(arguments: [ScriptedWork.Call.check, .prepare, .shield, .endStrangers, .copy, .catchUp, .verify, .arm, .mirror, .clean])
    func aStepThatDoesNotWorkIsTriedAgain(_ call: ScriptedWork.Call) async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([call: [.outcome(.unavailable("away")), .outcome(.unavailable("away"))]])
            try await kit.supervised(by: work) { supervisor in
                try await kit.until(is: .guarding)
                if call == .clean { #expect(await supervisor.ask(.finish, of: "j1") == .accepted) }
                try await kit.until("tried thrice") { _ in
                    _ = await supervisor.hasten("j1")
                    return work.calls.count { $0 == call } == 3
                }
            }
        }
    }

    @Test(arguments: [ScriptedWork.Call.check, .prepare, .shield, .endStrangers, .copy, .catchUp, .verify, .arm])
    func whatIsImpossibleFailsTheJobAndCleansUp(_ call: ScriptedWork.Call) async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([call: [.outcome(.impossible("no room"))]])
            try await kit.supervised(by: work) { _ in
                try await kit.until(is: .over(.failed))
                #expect(try await kit.job().reason == "no room")
                try await expectOwners(kit, moved: "s1")
                #expect(work.cleaned.count == 1 && work.calls.last == .clean)
                #expect(try await kit.store.load().shards[JobKit.s3]?.isJoining == true)
            }
        }
    }

    @Test(arguments: [ScriptedWork.Call.fence, .measure, .reach], [JobOutcome.busy("in doubt"), .unavailable("gone"), .impossible("no")])
    func anAttemptThatFailsIsGivenUpAndMadeAgain(_ call: ScriptedWork.Call, _ outcome: JobOutcome) async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([call: [.outcome(outcome)]])
            try await kit.supervised(by: work) { _ in
                try await kit.until(is: .guarding)
                let job = try await kit.job()
                #expect(job.abandoned == 1)
                try await expectOwners(kit, moved: "s3")
                // The fence of the first attempt, and of no other, was taken back.
                #expect(work.unfenced == work.fencings.prefix(1).map(\.epoch) && !work.unfenced.isEmpty && work.fencings.count == 2)
                #expect(work.fencings[0].epoch < work.fencings[1].epoch)
                #expect(kit.metrics.snapshot().series["pgmosaic_reshard_attempts_abandoned_total"]?[[]] == .counter(1))
            }
        }
    }

    @Test func theFenceIsTakenBackUntilThatWorks() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([.measure: [.outcome(.busy("in doubt"))], .unfence: [.outcome(.unavailable("away"))]])
            try await kit.supervised(by: work) { _ in
                try await kit.until(is: .guarding)
                #expect(work.unfenced.count == 2 && Set(work.unfenced).count == 1)
            }
        }
    }

    /// The manager is gone in the middle of each call, and another one goes on.
    @Test(arguments: [ScriptedWork.Call.check, .prepare, .shield, .endStrangers, .copy, .catchUp, .verify, .arm, .fence, .measure, .reach, .mirror])
    func aManagerThatIsLostIsReplacedInAnyStep(_ call: ScriptedWork.Call) async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let first = ScriptedWork([call: [.hangs]])
            try await kit.supervised(by: first) { _ in try await kit.until("\(call)") { _ in first.calls.last == call } }
            let left = try await kit.job()
            let second = ScriptedWork()
            try await kit.supervised(by: second) { supervisor in
                try await kit.until("guarded by the second") { $0.step == .guarding && second.calls.contains(.mirror) }
                let job = try await kit.job()
                #expect(job.version > left.version && job.abandoned == (left.step.isCutover ? 1 : 0))
                if left.step.isCutover { #expect(second.unfenced == first.fencings.prefix(1).map(\.epoch) && !second.unfenced.isEmpty) }
                try await expectOwners(kit, moved: "s3")
                #expect(await supervisor.ask(.finish, of: "j1") == .accepted)
                try await kit.until(is: .over(.completed))
            }
            #expect(first.stops == 1)
        }
    }

    @Test func aManagerThatIsLostWhileItCleansIsReplaced() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let first = ScriptedWork([.check: [.outcome(.impossible("no"))], .clean: [.hangs]])
            try await kit.supervised(by: first) { _ in try await kit.until("cleaning") { _ in first.calls.last == .clean } }
            let second = ScriptedWork()
            try await kit.supervised(by: second) { _ in try await kit.until(is: .over(.failed)) }
            #expect(second.calls == [.clean])
        }
    }

    @Test func jobsThatAreOverAreLeftAlone() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            try await kit.supervised(by: ScriptedWork([.check: [.outcome(.impossible("no"))]])) { _ in try await kit.until(is: .over(.failed)) }
            let before = try await kit.store.load()
            let work = ScriptedWork()
            try await kit.supervised(by: work) { supervisor in
                supervisor.poke()
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(work.calls.isEmpty)
            #expect(try await kit.store.load() == before)
        }
    }

    @Test func severalJobsRunAtOnce() async throws {
        try await JobKit.run { kit in
            try await kit.begin("j1", .move(vnodes: [1], source: JobKit.s1, target: JobKit.s2))
            try await kit.begin("j2", .move(vnodes: [2], source: JobKit.s1, target: JobKit.s3))
            let supervisor = JobSupervisor(
                store: kit.store, election: nil, work: ScriptedWork(), ledgers: JobKit.ledgers, settings: JobKit.settings, metrics: kit.metrics, logger: JobKit.quiet)
            let running = Task { try await supervisor.run() }
            try await kit.until("j1", is: .guarding)
            try await kit.until("j2", is: .guarding)
            let owners = try await kit.owners()
            #expect(owners[1] == "s2" && owners[2] == "s3")
            running.cancel()
            _ = await running.result
        }
    }
}
