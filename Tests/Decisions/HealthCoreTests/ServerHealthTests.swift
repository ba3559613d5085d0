import HealthCore
import Testing

@Suite struct ServerHealthTests {
    private let rules = HealthRules(failures: 3, recoveries: 2)

    private func states(_ probes: [[HealthReason]]) -> [ServerHealth.State] {
        var health = ServerHealth(at: 0)
        return probes.enumerated().map { index, found in
            _ = health.probed(found, at: Double(index), rules)
            return health.state
        }
    }

    @Test func oneLostProbeDegradesAndSeveralInARowMakeUnreachable() {
        #expect(states([[], [.noAnswer], []]) == [.healthy, .degraded, .degraded])
        #expect(states([[], [.noAnswer], [.noConnection], [.noAnswer]]) == [.healthy, .degraded, .degraded, .unreachable])
        // A good one in between begins the count anew.
        #expect(states([[], [.noAnswer], [.noAnswer], [], [.noAnswer], [.noAnswer]]).last == .degraded)
    }

    @Test func aServerIsHealthyAgainAfterSeveralGoodProbes() {
        #expect(states([[.noAnswer], [.noAnswer], [.noAnswer], [], []]) == [.degraded, .degraded, .unreachable, .degraded, .healthy])
        #expect(states([[.lagging], [], [.lagging], [], []]) == [.degraded, .degraded, .degraded, .degraded, .healthy])
        // One that comes and goes stays where it is.
        #expect(states([[.noAnswer], [.noAnswer], [.noAnswer], [], [.noAnswer]]).last == .degraded)
    }

    @Test func aServerThatAnswersIsNeverUnreachableHoweverBadItIs() {
        let bad = Array(repeating: [HealthReason.connectionsExhausted, .inDoubt], count: 20)
        #expect(Set(states(bad)) == [.degraded])
    }

    @Test func eachChangeOfStateOrReasonsIsToldOnceAndKept() {
        var health = ServerHealth(at: 0)
        #expect(health.probed([], at: 1, rules) == .init(time: 1, from: .unknown, to: .healthy, reasons: []))
        #expect(health.probed([], at: 2, rules) == nil && health.since == 1)
        #expect(health.probed([.lagging], at: 3, rules) == .init(time: 3, from: .healthy, to: .degraded, reasons: [.lagging]))
        #expect(health.probed([.lagging], at: 4, rules) == nil)
        #expect(health.probed([.inDoubt, .lagging], at: 5, rules)?.reasons == [.inDoubt, .lagging])
        #expect(health.since == 3)
        // Not believed yet: the reasons stand.
        #expect(health.probed([], at: 6, rules) == nil && health.reasons == [.inDoubt, .lagging])
        #expect(health.probed([], at: 7, rules)?.to == .healthy)
        #expect(health.transitions.map(\.time) == [1, 3, 5, 7])
    }

    @Test func noMoreChangesAreKeptThanAllowed() {
        var health = ServerHealth(at: 0)
        for time in 0..<1000 { _ = health.probed(time.isMultiple(of: 2) ? [.lagging] : [.inDoubt], at: Double(time), rules) }
        #expect(health.transitions.count == ServerHealth.transitionsMax && health.transitions.last?.time == 999)
    }

    /// All sequences of seven probes, against what is said of them in words.
    @Test func everySequenceKeepsTheRules() {
        let kinds: [[HealthReason]] = [[], [.noAnswer], [.lagging]]
        func explore(_ health: ServerHealth, _ probes: [[HealthReason]]) {
            if let last = probes.last {
                let lost = probes.reversed().prefix { $0 == [.noAnswer] }.count
                let good = probes.reversed().prefix { $0.isEmpty }.count
                switch health.state {
                case .unknown: Issue.record("unknown after a probe")
                case .healthy: #expect(last.isEmpty && (good >= 2 || good == probes.count) && health.reasons.isEmpty)
                case .degraded: #expect(lost < 3 && !health.reasons.isEmpty)
                case .unreachable: #expect(lost >= 3)
                }
                if lost >= 3 { #expect(health.state == .unreachable) }
                if good >= 2 { #expect(health.state == .healthy) }
            }
            guard probes.count < 7 else { return }
            for kind in kinds {
                var next = health
                let transition = next.probed(kind, at: Double(probes.count), rules)
                #expect((transition != nil) == (next.state != health.state || next.reasons != health.reasons))
                explore(next, probes + [kind])
            }
        }
        explore(ServerHealth(at: 0), [])
    }

    @Test func figuresAreWrongBeyondTheRulesOnly() {
        var figures = ServerFigures()
        figures.connectionsMax = 100
        figures.connections = 89
        figures.oldestInDoubt = rules.inDoubtMax
        figures.slots = [.init(name: "a", isActive: false, retainedBytes: rules.slotBytesMax), .init(name: "b", isActive: true, retainedBytes: nil)]
        #expect(figures.reasons(as: .primary, rules) == [])
        figures.connections = 90
        figures.oldestInDoubt = rules.inDoubtMax + .seconds(1)
        figures.slots[0].retainedBytes = rules.slotBytesMax + 1
        #expect(figures.reasons(as: .primary, rules) == [.inDoubt, .manyConnections, .slotRetainsLog])
        var replica = ServerFigures()
        #expect(replica.reasons(as: .replica, rules) == [.notInRecovery])
        replica.inRecovery = true
        replica.lag = rules.lagMax
        #expect(replica.reasons(as: .replica, rules) == [] && replica.reasons(as: .primary, rules) == [.inRecovery])
        replica.lag = rules.lagMax + .milliseconds(1)
        replica.isStreaming = false
        replica.isShard = false
        #expect(replica.reasons(as: .replica, rules) == [.lagging, .notStreaming, .notTheShard])
    }
}
