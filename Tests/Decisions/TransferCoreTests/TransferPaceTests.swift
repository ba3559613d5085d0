import Testing
import TransferCore

@Suite struct TransferPaceTests {
    @Test func whatIsTransferredOverAWhileStaysBelowTheRate() {
        var pace = TransferPace(bytesPerSecond: 1_000_000)
        let start = ContinuousClock.now
        var now = start
        var bytes = 0
        while now < start + .seconds(20) {
            bytes += 64_000
            now += max(.milliseconds(1), pace.rest(after: 64_000, at: now))
        }
        #expect(bytes > 19_500_000 && bytes < 20_500_000)
    }

    @Test func aPauseIsNotMadeUpFor() {
        var pace = TransferPace(bytesPerSecond: 1000)
        let start = ContinuousClock.now
        #expect(pace.rest(after: 1000, at: start) == .seconds(1))
        // An hour later: a quarter of a second's worth is free.
        #expect(pace.rest(after: 1000, at: start + .seconds(3600)) == .milliseconds(750))
    }

    @Test func theRateOfTheMomentCounts() {
        var pace = TransferPace(bytesPerSecond: 1000)
        let start = ContinuousClock.now
        #expect(pace.rest(after: 1000, at: start) == .seconds(1))
        pace.bytesPerSecond = 10_000
        #expect(pace.rest(after: 1000, at: start + .seconds(1)) == .milliseconds(100))
        pace.bytesPerSecond = nil
        #expect(pace.rest(after: 1_000_000, at: start + .seconds(1)) == .zero)
    }
}
