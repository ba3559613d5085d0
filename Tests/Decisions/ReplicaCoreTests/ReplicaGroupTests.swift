import PoolCore
import ReplicaCore
import TestKit
import Testing

@Suite struct ReplicaGroupTests {
    private var group = ReplicaGroup(replicas: 1)

    private func at(_ moment: UInt64) -> PoolInstant { PoolInstant(nanoseconds: moment) }

    private mutating func primary(_ end: UInt64, at moment: UInt64, system: String = "a", isInRecovery: Bool = false) {
        let log = PrimaryLog(insert: .init(end), flush: .init(end), pageSize: 8192, segmentSize: 16 << 20)
        group.primarySeen(PrimarySight(system: system, isInRecovery: isInRecovery, log: isInRecovery ? nil : log), asked: at(moment))
    }

    private mutating func replica(_ replayed: UInt64?, at moment: UInt64, system: String = "a", isInRecovery: Bool = true) {
        let position = replayed.map { LogPosition($0) }
        group.replicaSeen(0, ReplicaSight(system: system, isInRecovery: isInRecovery, replayed: position), heard: at(moment))
    }

    private var currentTo: UInt64? { group.currentTo(0)?.nanoseconds }

    @Test mutating func nothingIsKnownBeforeBothWereSeen() {
        #expect(group.standing(of: 0) == .unknown)
        replica(100, at: 1)
        #expect(group.standing(of: 0) == .unknown && currentTo == nil)
        primary(100, at: 2)
        // Its identity was not compared: it must be seen again.
        #expect(currentTo == nil)
        replica(100, at: 3)
        #expect(group.standing(of: 0) == .following && currentTo == 2)
    }

    @Test mutating func aReplicaOfAnIdlePrimaryStaysCurrent() {
        primary(100, at: 1)
        replica(100, at: 2)
        for moment in stride(from: UInt64(10), to: 1000, by: 10) {
            primary(100, at: moment)
            #expect(currentTo == moment)
        }
    }

    @Test mutating func aReplicaThatIsCutOffStopsWhereItsFirstMissingRecordBegins() {
        primary(100, at: 1)
        replica(100, at: 2)
        primary(100, at: 10)
        for moment in UInt64(2)...50 {
            primary(100 + moment, at: moment * 10)
            replica(100, at: moment * 10 + 1)
            #expect(currentTo == 10)
        }
        // And comes back by itself.
        replica(150, at: 502)
        #expect(currentTo == 500)
    }

    @Test mutating func aReplicaThatFollowsLateIsDatedByTheSampleItHasReached() {
        for moment in UInt64(1)...20 { primary(moment * 100, at: moment) }
        replica(50, at: 21)
        #expect(currentTo == nil)
        replica(100, at: 22)
        #expect(currentTo == 1)
        replica(1299, at: 23)
        #expect(currentTo == 12)
        replica(2000, at: 24)
        #expect(currentTo == 20)
    }

    /// The moment is that of the question, not of the answer: a commit in between is not covered.
    @Test mutating func theMomentIsTheOneAtWhichThePrimaryWasAsked() {
        primary(100, at: 5)
        replica(100, at: 500)
        #expect(currentTo == 5)
    }

    @Test mutating func anUnseenPrimaryLetsEveryReplicaGrowOld() {
        primary(100, at: 1)
        replica(100, at: 2)
        for moment in UInt64(3)...100 { replica(100, at: moment) }
        #expect(currentTo == 1)
        // A primary that is itself in recovery is as good as unseen.
        primary(100, at: 200, isInRecovery: true)
        #expect(currentTo == 1)
    }

    @Test mutating func aLostReplicaIsOutUntilItIsSeenAgain() {
        primary(100, at: 1)
        replica(100, at: 2)
        group.replicaLost(0)
        #expect(group.standing(of: 0) == .unreachable && currentTo == nil)
        primary(100, at: 3)
        #expect(currentTo == nil)
        replica(100, at: 4)
        #expect(currentTo == 3)
    }

    @Test mutating func aPromotedOrForeignServerIsNeverReadFrom() {
        primary(100, at: 1)
        replica(100, at: 2, isInRecovery: false)
        #expect(group.standing(of: 0) == .promoted && currentTo == nil)
        primary(100, at: 3)
        #expect(currentTo == nil)
        replica(100, at: 4, system: "b")
        #expect(group.standing(of: 0) == .foreign && currentTo == nil)
        primary(100, at: 5)
        #expect(currentTo == nil)
        replica(100, at: 6)
        #expect(currentTo == 5)
    }

    @Test mutating func anotherPrimaryBehindTheAddressForgetsEverything() {
        primary(100, at: 1)
        replica(100, at: 2)
        primary(100, at: 3, system: "b")
        #expect(group.standing(of: 0) == .unknown && currentTo == nil)
        replica(100, at: 4)
        #expect(group.standing(of: 0) == .foreign)
    }

    @Test mutating func aReplicaAheadOfItsPrimaryFollowsAnotherOneUntilItIsMadeAnew() {
        primary(100, at: 1)
        // Ahead only of an older look at the primary.
        replica(120, at: 2)
        #expect(group.standing(of: 0) == .following)
        primary(110, at: 3)
        #expect(group.standing(of: 0) == .diverged && currentTo == nil)
        // Once the primary has written more, the positions would look right again.
        primary(200, at: 4)
        replica(120, at: 5)
        #expect(group.standing(of: 0) == .diverged && currentTo == nil)
        group.replicaLost(0)
        replica(200, at: 6)
        #expect(group.standing(of: 0) == .following && currentTo == 4)
    }

    @Test mutating func aPrimaryThatLostItsLastRecordsStartsAnew() {
        primary(100, at: 1)
        primary(200, at: 2)
        replica(200, at: 3)
        #expect(currentTo == 2)
        primary(150, at: 4)
        #expect(group.standing(of: 0) == .unknown && currentTo == nil)
        replica(150, at: 5)
        #expect(currentTo == 4)
    }

    @Test mutating func aReplicaMadeAnewFromAnOlderCopyShowsLess() {
        primary(100, at: 1)
        primary(200, at: 2)
        replica(200, at: 3)
        replica(100, at: 4)
        #expect(currentTo == 1)
    }

    @Test mutating func aReplicaWithoutAPositionIsNotCurrent() {
        primary(100, at: 1)
        replica(nil, at: 2)
        #expect(group.standing(of: 0) == .following && currentTo == nil)
    }

    @Test mutating func answersOutOfOrderChangeNothing() {
        primary(100, at: 5)
        primary(90, at: 4)
        replica(100, at: 6)
        #expect(currentTo == 5)
    }

    /// However long it runs, it keeps few samples, and never dates a replica later than it may.
    @Test func aReplicaIsNeverDatedLaterThanWhatItHas() throws {
        try withSeed { random in
            var group = ReplicaGroup(replicas: 1)
            var (end, replayed, moment): (UInt64, UInt64, UInt64) = (100, 100, 1)
            var ends: [(moment: UInt64, end: UInt64)] = []
            for _ in 0..<3000 {
                moment += UInt64.random(in: 1...3, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: end += UInt64.random(in: 0...20, using: &random)
                case 1: replayed = min(end, replayed + UInt64.random(in: 0...15, using: &random))
                case 2:
                    ends.append((moment, end))
                    let log = PrimaryLog(insert: .init(end), flush: .init(end), pageSize: 8192, segmentSize: 16 << 20)
                    group.primarySeen(PrimarySight(system: "a", isInRecovery: false, log: log), asked: PoolInstant(nanoseconds: moment))
                default:
                    group.replicaSeen(
                        0, ReplicaSight(system: "a", isInRecovery: true, replayed: .init(replayed)), heard: PoolInstant(nanoseconds: moment))
                }
                #expect([.unknown, .following].contains(group.standing(of: 0)))
                if let current = group.currentTo(0)?.nanoseconds {
                    let there = try #require(ends.last { $0.moment <= current })
                    #expect(there.end <= replayed)
                }
            }
        }
    }
}
