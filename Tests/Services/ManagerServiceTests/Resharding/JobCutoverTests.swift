import CatalogStore
import LogicalReplication
@testable import ManagerService
import ReshardCore
import ServerConfig
import ShardModel
import Telemetry
import Testing

/// The cutover: holds, acknowledgements, the switch and giving up, in a real catalog.
@Suite struct JobCutoverTests {
    /// - epoch: newer than any of the test.
    private func router(_ id: String, _ acknowledgements: [HoldAcknowledgement]? = nil, at epoch: Epoch = Epoch(1_000_000), sessions: [ShardID: [Int32]] = [:]) -> MemberRecord {
        MemberRecord(
            id: id, kind: "router", url: "http://\(id)", wireAddress: id, epoch: epoch, startedAt: 1, version: "test", acknowledgements: acknowledgements,
            sessions: SessionReport(epoch: epoch, sessions: sessions))
    }

    /// As a router does: says for each hold that nothing is under way, and names its sessions.
    private func acknowledge(_ kit: JobKit, as id: String, sessions: [ShardID: [Int32]]) -> Task<Void, Never> {
        Task {
            while !Task.isCancelled {
                if let hold = try? await kit.store.load().holds["j1"] {
                    try? await kit.store.announce(
                        router(id, [HoldAcknowledgement(job: "j1", attempt: hold.attempt, sessions: sessions)]), ttl: .seconds(300))
                }
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    @Test func theHoldIsOfTheMovedTokensAndItsEpochIsTheFences() async throws {
        try await JobKit.run { kit in
            try await kit.begin("j1", .move(vnodes: [1, 2, 4], source: JobKit.s1, target: JobKit.s2))
            let work = ScriptedWork([.fence: [.hangs]])
            try await kit.supervised(by: work) { _ in
                try await kit.until("fencing") { _ in work.fencings.count == 1 }
                let catalog = try await kit.store.load()
                let hold = try #require(catalog.holds["j1"])
                let vnodes = try #require(catalog.shards[JobKit.s1]?.vnodes)
                #expect(hold.ranges == [TokenRange(vnodes[0].range.start...vnodes[1].range.end), vnodes[3].range])
                #expect(hold.owners == [JobKit.s1] && work.fencings[0].epoch == hold.epoch)
                #expect(try await kit.store.history(limit: 10).first { $0.epoch == hold.epoch }?.change.operations.contains { if case .putHold = $0 { true } else { false } } == true)
            }
        }
    }

    @Test func theFenceSparesTheSessionsThatAcknowledgementsNameAndNoOther() async throws {
        try await JobKit.run { kit in
            try await kit.store.announce(router("old", [HoldAcknowledgement(job: "j1", attempt: 1, sessions: [JobKit.s1: [99]])]), ttl: .seconds(300))
            try await kit.store.announce(router("other", [HoldAcknowledgement(job: "j2", attempt: 9, sessions: [JobKit.s1: [98]])]), ttl: .seconds(300))
            let routers = [acknowledge(kit, as: "old", sessions: [JobKit.s1: [1, 2]]), acknowledge(kit, as: "other", sessions: [JobKit.s1: [3], JobKit.s2: [4]])]
            defer { routers.forEach { $0.cancel() } }
            try await kit.begin()
            let work = ScriptedWork()
            try await kit.supervised(by: work) { _ in
                try await kit.until(is: .guarding)
                #expect(work.fencings.map(\.spared) == [[JobKit.s1: [1, 2, 3], JobKit.s2: [4]]])
            }
        }
    }

    /// Its clients would see their sessions end: rather than that the attempt is given up, and made again until the router has drained, or is none any more.
    @Test func whileARouterIsSilentTheAttemptIsGivenUp() async throws {
        try await JobKit.run { kit in
            try await kit.store.announce(router("silent"), ttl: .seconds(300))
            try await kit.begin()
            let work = ScriptedWork()
            let settings = ReshardSettings(pauseBudget: .seconds(300), drainLimit: .milliseconds(300))
            try await kit.supervised(by: work, settings: settings) { _ in
                try await kit.until("given up twice") { $0.abandoned >= 2 }
                #expect(work.fencings.isEmpty)
                try await kit.until("the reason is told") { $0.reason?.contains("silent") == true }
                try await kit.store.withdraw(memberID: "silent")
                try await kit.until(is: .guarding)
                #expect(work.fencings.map(\.spared) == [[:]])
            }
        }
    }

    /// Routers are told with the hold, and have time left for it behind the drain limit.
    @Test(arguments: [(nil, true), (true, false), (false, true), (nil, false)] as [(Bool?, Bool)])
    func transactionsAreEndedAtTheDrainLimitWhereTheJobOrTheManagerSaysSo(job: Bool?, manager: Bool) async throws {
        try await JobKit.run { kit in
            try await kit.store.announce(router("slow"), ttl: .seconds(300))
            try await kit.begin(endsTransactions: job)
            let work = ScriptedWork()
            let settings = ReshardSettings(pauseBudget: .seconds(300), drainLimit: .milliseconds(300), endsTransactions: manager)
            try await kit.supervised(by: work, settings: settings) { _ in
                try await kit.until("held") { _ in try await kit.store.load().holds["j1"] != nil }
                let limit = try await kit.store.load().holds["j1"]?.transactionLimit
                guard job ?? manager else {
                    #expect(limit == nil)
                    return try await kit.until("given up") { $0.abandoned >= 1 }
                }
                #expect(limit == 300)
                try await Task.sleep(for: .milliseconds(600))
                let slow = acknowledge(kit, as: "slow", sessions: [:])
                defer { slow.cancel() }
                try await kit.until(is: .guarding)
                #expect(try await kit.job().abandoned == 0)
            }
        }
    }

    /// It would let statements through that see rows twice.
    @Test func noRowIsCopiedBeforeEachRouterKnowsOfTheJob() async throws {
        try await JobKit.run { kit in
            try await kit.store.announce(router("late", at: try await kit.store.load().epoch), ttl: .seconds(300))
            try await kit.begin()
            let work = ScriptedWork()
            try await kit.supervised(by: work) { _ in
                try await kit.until("it is about to copy") { $0.step == .shielding }
                let epoch = try await kit.store.load().epoch
                try await Task.sleep(for: .milliseconds(300))
                // Behind the fence it could open no connection any more.
                #expect(work.shields == [])
                try await kit.store.announce(router("late", at: epoch, sessions: [JobKit.s3: [1]]), ttl: .seconds(300))
                try await kit.until("it is about to copy") { $0.step == .copying }
                let later = try await kit.store.load().epoch
                try await Task.sleep(for: .milliseconds(300))
                // What it said before the targets were looked at leaves out what it opened meanwhile.
                #expect(work.shields == [epoch] && work.strangersEnded == [])
                try await kit.store.announce(router("late", at: later, sessions: [JobKit.s3: [1, 2]]), ttl: .seconds(300))
                try await kit.until("it copies") { _ in work.calls.contains(.copy) }
                #expect(work.strangersEnded == [[JobKit.s3: [1, 2]]])
                try await kit.store.withdraw(memberID: "late")
                try await kit.until(is: .guarding)
            }
        }
    }

    @Test func noSwitchComesBeforeAllRoutersHaveAcknowledged() async throws {
        try await JobKit.run { kit in
            try await kit.store.announce(router("late"), ttl: .seconds(300))
            try await kit.begin()
            let work = ScriptedWork()
            try await kit.supervised(by: work) { _ in
                try await kit.until("held") { _ in try await kit.store.load().holds["j1"] != nil }
                try await Task.sleep(for: .milliseconds(100))
                #expect(work.fencings.isEmpty)
                let late = acknowledge(kit, as: "late", sessions: [:])
                defer { late.cancel() }
                try await kit.until(is: .guarding)
            }
        }
    }

    /// In whatever step the attempt is; statements go on, and the next attempt finds room.
    @Test(arguments: [nil, ScriptedWork.Call.fence, .measure, .reach]) func anAttemptForWhichARouterHoldsTooMuchIsGivenUp(_ call: ScriptedWork.Call?) async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork(call.map { [$0: [.hangs]] } ?? [:])
            let full = Task {
                while !Task.isCancelled {
                    if let hold = try? await kit.store.load().holds["j1"], (try? await kit.job().abandoned) == 0 {
                        let isThere = call == nil || work.calls.last == call
                        var member = router("full", call == nil ? nil : [HoldAcknowledgement(job: "j1", attempt: hold.attempt, sessions: [:])])
                        if isThere { member.overfull = [HoldAttempt(job: "j1", attempt: hold.attempt)] }
                        try? await kit.store.announce(member, ttl: .seconds(300))
                    }
                    try? await Task.sleep(for: .milliseconds(5))
                }
            }
            if call == nil { try await kit.store.announce(router("full"), ttl: .seconds(300)) }
            try await kit.supervised(by: work) { _ in
                try await kit.until("given up") { $0.abandoned == 1 }
                full.cancel()
                await full.value
                let reason = try #require(try await kit.job().reason)
                #expect(reason.contains("router full") && reason.contains("wire.held_statements_max"), "\(reason)")
                // The next attempt may have begun.
                let given = try await kit.store.members().flatMap { $0.overfull ?? [] }
                if let hold = try await kit.store.load().holds["j1"] { #expect(!given.contains(HoldAttempt(job: "j1", attempt: hold.attempt))) }
                try await kit.store.withdraw(memberID: "full")
                try await kit.until(is: .guarding)
            }
            full.cancel()
        }
    }

    @Test func anAttemptOverItsBudgetIsGivenUp() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([.measure: [.hangs], .reach: [.hangs]])
            // The second attempt hangs in another step; the third has all the time that it needs, on any machine that is not thousands of times too slow.
            let settings = ReshardSettings(pauseBudget: .seconds(3), drainLimit: .seconds(1))
            try await kit.supervised(by: work, settings: settings) { _ in
                try await kit.until("given up twice") { $0.abandoned >= 2 }
                try await kit.until(is: .guarding)
                #expect(work.unfenced.count >= 2)
                #expect(try await kit.store.load().holds.isEmpty)
            }
        }
    }

    @Test(arguments: [ScriptedWork.Call.check, .prepare, .shield, .endStrangers, .copy, .catchUp, .verify, .arm, .fence, .measure, .reach])
    func aCancelBeforeTheSwitchEndsTheJobAndTheSourcesKeepTheVNodes(_ call: ScriptedWork.Call) async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([call: [.hangs]])
            try await kit.supervised(by: work) { supervisor in
                try await kit.until("\(call)") { _ in work.calls.last == call }
                #expect(await supervisor.ask(.finish, of: "j1") == .rejected)
                #expect(await supervisor.ask(.reverse, of: "j1") == .rejected)
                #expect(await supervisor.ask(.cancel, of: "j1") == .accepted)
                try await kit.until(is: .over(.cancelled))
                let catalog = try await kit.store.load()
                #expect(catalog.holds.isEmpty && catalog.shards[JobKit.s3]?.isJoining == true && catalog.shards[JobKit.s1]?.vnodes.count == 4)
                #expect(work.calls.last == .clean && work.unfenced.count == work.fencings.count)
                #expect(await supervisor.ask(.cancel, of: "j1") != .accepted)
            }
        }
    }

    @Test func theWayBackGivesTheSourcesTheirVNodesAndTheTargetIsJoiningAgain() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let before = try await kit.owners()
            let work = ScriptedWork()
            try await kit.supervised(by: work) { supervisor in
                try await kit.until(is: .guarding)
                #expect(await supervisor.ask(.reverse, of: "j1") == .accepted)
                try await kit.until(is: .over(.cancelled))
                #expect(try await kit.owners() == before)
                #expect(try await kit.store.load().shards[JobKit.s3]?.isJoining == true)
                #expect(work.fencings.count == 2 && work.cleaned.last?.contains(.schema(JobKit.s3, name: "public")) == true)
            }
        }
    }

    @Test func anAttemptOfTheWayBackThatFailsLeavesTheJobOnGuard() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork()
            try await kit.supervised(by: work) { supervisor in
                try await kit.until("guarded") { $0.step == .guarding && work.calls.last == .mirror }
                work.add([.outcome(.busy("in doubt"))], to: .measure)
                let switched = try await kit.owners()
                #expect(await supervisor.ask(.reverse, of: "j1") == .accepted)
                try await kit.until("on guard again") { $0.step == .guarding && $0.abandoned == 1 }
                #expect(try await kit.owners() == switched)
                #expect(try await kit.job().direction == .forward)
            }
        }
    }

    @Test func aWayBackThatIsLostLeavesOnlyFinish() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([.mirror: [.outcome(.impossible("this version keeps no way back"))]])
            try await kit.supervised(by: work) { supervisor in
                try await kit.until("lost") { $0.step == .guarding && !$0.hasWayBack }
                #expect(await supervisor.ask(.reverse, of: "j1") == .rejected)
                #expect(await supervisor.ask(.finish, of: "j1") == .accepted)
                try await kit.until(is: .over(.completed))
            }
        }
    }

    /// Somebody changed the ring all the same: nothing is switched on top of it.
    @Test func vnodesThatAreNotTheOldOwnersAnyMoreAreNotSwitched() async throws {
        try await JobKit.run { kit in
            try await kit.begin()
            let work = ScriptedWork([
                .catchUp: [.does { _, catalog in
                    guard var one = catalog.shards[JobKit.s1], var other = catalog.shards[JobKit.s2], let last = one.vnodes.popLast() else { return .impossible("no shards") }
                    other.vnodes.append(last)
                    try? await kit.commit([.putShard(one), .putShard(other)])
                    return .done
                }]
            ])
            try await kit.supervised(by: work) { supervisor in
                try await kit.until("given up") { $0.abandoned > 0 }
                #expect(try await kit.owners()[4] == "s2")
                #expect(await supervisor.ask(.cancel, of: "j1") == .accepted)
                try await kit.until(is: .over(.cancelled))
            }
        }
    }
}

/// Who leads has the jobs, and nobody else.
@Suite struct JobLeadershipTests {
    /// A commit of a job's that the store refuses for want of the lease: nobody else may ask for half a minute.
    @Test func theElectionHearsOfACommitThatIsFenced() async throws {
        try await JobKit.run { kit in
            let election = election(kit, "m1")
            let leading = Task { try await election.run() }
            try await kit.begin()
            var lease: Lease?
            var changes = election.changes
            // Somebody takes the lease away behind its back; again, where it was renewing it at that moment.
            for _ in 0..<1000 where lease == nil {
                try await kit.until("it leads") { _ in if case .leader = election.role { true } else { false } }
                guard case .leader(let held) = election.role else { continue }
                changes = election.changes
                try? await kit.store.releaseLease(held)
                if try await kit.store.acquireLease(held.name, holder: "m2", ttl: .seconds(300)) != nil { lease = held }
            }
            try #require(lease != nil)
            let commits = JobCommits(store: kit.store, metrics: kit.metrics, lease: lease, election: election)
            let outcome = await commits.commit { _ in .change([.putDatabase(DatabaseRecord(name: "new"))]) }
            guard case .fenced = outcome else {
                Issue.record("\(outcome)")
                return
            }
            if case .leader = election.role { Issue.record("it leads on") }
            #expect(election.changes > changes)
            leading.cancel()
            _ = await leading.result
        }
    }

    private func election(_ kit: JobKit, _ id: String) -> LeaderElection {
        let election = LeaderElection(id: id, store: kit.store, ttl: .seconds(30), metrics: kit.metrics, logger: JobKit.quiet)
        election.started(url: "http://\(id)")
        return election
    }

    @Test func aManagerThatFollowsDoesNothingAndOneThatLosesTheLeaseStopsWithoutAChange() async throws {
        try await JobKit.run { kit in
            let election = election(kit, "m1")
            try await kit.begin()
            let work = ScriptedWork([.copy: [.hangs]])
            try await kit.supervised(by: work, election: election) { supervisor in
                supervisor.poke()
                try await Task.sleep(for: .milliseconds(200))
                #expect(work.calls.isEmpty)
                let leading = Task { try await election.run() }
                try await kit.until("copying") { _ in work.calls.last == .copy }
                let lease = try #require(try await kit.store.lease(LeaderElection.leaseName))
                try await kit.store.releaseLease(lease)
                #expect(try await kit.store.acquireLease(LeaderElection.leaseName, holder: "another", ttl: .seconds(300)) != nil)
                let before = try await kit.job()
                try await kit.until("stopped") { _ in work.stops == 1 }
                #expect(work.running == 0)
                #expect(try await kit.job() == before)
                leading.cancel()
                _ = await leading.result
            }
        }
    }

    /// A leader that was stopped before its switch, and goes on when another one leads, switches nothing.
    @Test func whatALostLeaderDecidedIsNotCommitted() async throws {
        try await JobKit.run { kit in
            let election = election(kit, "m1")
            let leading = Task { try await election.run() }
            try await kit.begin()
            let work = ScriptedWork([
                .reach: [.does { _, _ in
                    guard let lease = try? await kit.store.lease(LeaderElection.leaseName) else { return .busy("no lease") }
                    try? await kit.store.releaseLease(lease)
                    _ = try? await kit.store.acquireLease(LeaderElection.leaseName, holder: "another", ttl: .seconds(300))
                    return .done
                }]
            ])
            let owners = try await kit.owners()
            try await kit.supervised(by: work, election: election) { _ in
                try await kit.until("stopped") { _ in work.stops == 1 }
                #expect(try await kit.job().step == .fencing)
                #expect(try await kit.owners() == owners)
                #expect(try await kit.store.load().holds["j1"] != nil)
            }
            leading.cancel()
            _ = await leading.result
            // The next one takes the hold back before it goes on.
            let next = ScriptedWork()
            try await kit.supervised(by: next) { _ in
                try await kit.until(is: .guarding)
                #expect(try await kit.job().abandoned == 1)
                #expect(next.unfenced == work.fencings.prefix(1).map(\.epoch) && !next.unfenced.isEmpty)
            }
        }
    }
}
