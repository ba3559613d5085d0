import PoolCore
import ReplicaCore
import Testing

@Suite struct ReplicaChoiceTests {
    private let choice = ReplicaChoice(lagMax: PoolNanoseconds(100))
    private func at(_ moment: UInt64) -> PoolInstant { PoolInstant(nanoseconds: moment) }

    private func chosen(_ candidates: [(currentTo: UInt64?, outstanding: Int)], now: UInt64 = 1000, wrote: UInt64? = nil, turn: Int = 0) -> Int? {
        choice.choose(among: candidates.count, now: at(now), wrote: wrote.map(at), turn: turn) { index in
            ReplicaCandidate(currentTo: candidates[index].currentTo.map(at), outstanding: candidates[index].outstanding)
        }
    }

    @Test func noneIsChosenWhereNoneQualifies() {
        #expect(chosen([]) == nil)
        #expect(chosen([(nil, 0), (899, 0)]) == nil)
    }

    @Test func theLimitItselfStillQualifies() {
        #expect(chosen([(900, 0)]) == 0)
        #expect(chosen([(899, 0)]) == nil)
    }

    @Test func theOneWithTheLeastWorkIsChosenAmongThoseWithinTheLimit() {
        #expect(chosen([(1000, 3), (950, 1), (1000, 2)]) == 1)
        #expect(chosen([(1000, 3), (500, 0), (nil, 0), (901, 2)]) == 3)
    }

    @Test func equalsAreChosenInTurn() {
        let equals: [(UInt64?, Int)] = [(1000, 1), (1000, 1), (1000, 1)]
        #expect((0..<6).map { chosen(equals, turn: $0) } == [0, 1, 2, 0, 1, 2])
        // At the end of the counter, too.
        #expect(chosen(equals, turn: -1) != nil && chosen(equals, turn: .min) != nil)
    }

    @Test func aSessionThatWroteReadsOnlyWhatIsCurrentToALaterMoment() {
        #expect(chosen([(950, 0)], wrote: 949) == 0)
        #expect(chosen([(950, 0)], wrote: 950) == nil)
        #expect(chosen([(950, 0), (990, 5)], wrote: 970) == 1)
        #expect(chosen([(950, 0), (990, 5)], wrote: 999) == nil)
    }

    /// A clock that another thread read a little later.
    @Test func aMomentInTheFutureHasNoLag() {
        #expect(chosen([(1001, 0)]) == 0)
    }
}
