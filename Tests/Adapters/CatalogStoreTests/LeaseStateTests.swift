import CatalogStore
import Testing

@Suite struct LeaseStateTests {
    private func at(_ milliseconds: Int64, boot: String = "boot") -> LeaseInstant { LeaseInstant(boot: boot, milliseconds: milliseconds) }

    private func acquire(_ state: inout LeaseState, holder: String, ttl: Duration, now: LeaseInstant) -> Bool {
        state.acquire(holder: holder, ttl: ttl, now: now)
    }

    @Test func leaseIsFreeAtItsEndAndNotBefore() {
        var state = LeaseState(holder: nil, fencingToken: 0, end: at(0))
        #expect(acquire(&state, holder: "a", ttl: .milliseconds(100), now: at(1000)) == true)
        #expect(acquire(&state, holder: "b", ttl: .seconds(1), now: at(1099)) == false)
        #expect(state.holder == "a" && state.fencingToken == 1)
        #expect(acquire(&state, holder: "b", ttl: .seconds(1), now: at(1100)) == true)
        #expect(state.holder == "b" && state.fencingToken == 2)
    }

    @Test func renewalKeepsTheTokenAndReturnAfterExpiryDoesNot() {
        var state = LeaseState(holder: nil, fencingToken: 0, end: at(0))
        for now in [0, 50, 149] as [Int64] { #expect(acquire(&state, holder: "a", ttl: .milliseconds(100), now: at(now)) == true) }
        #expect(state.fencingToken == 1 && state.end == at(249))
        #expect(acquire(&state, holder: "a", ttl: .milliseconds(100), now: at(300)) == true)
        #expect(state.fencingToken == 2)
    }

    @Test func nothingOutlivesTheMachinesStart() {
        var state = LeaseState(holder: "a", fencingToken: 7, end: at(1_000_000, boot: "earlier"))
        #expect(acquire(&state, holder: "b", ttl: .seconds(1), now: at(5)) == true)
        #expect(state.fencingToken == 8)
    }

    @Test func extremeLengthsNeitherTrapNorEndBeforeNow() {
        let lengths: [Duration] = [.zero, .seconds(-5), .seconds(Int64.max), .seconds(Int64.min), .nanoseconds(1), Duration(secondsComponent: .max, attosecondsComponent: 999_999_999_999_999_999)]
        for ttl in lengths {
            let end = at(1000).adding(ttl)
            #expect(end.milliseconds >= 1000 && end.milliseconds < Int64.max)
        }
        #expect(at(1000).adding(.milliseconds(1500)).milliseconds == 2500)
    }

    @Test func systemClockNeverStepsBack() {
        let clock = SystemLeaseClock()
        let first = clock.now
        let second = clock.now
        #expect(first.boot == second.boot && !first.boot.isEmpty && first.milliseconds <= second.milliseconds && first.milliseconds > 0)
    }
}
