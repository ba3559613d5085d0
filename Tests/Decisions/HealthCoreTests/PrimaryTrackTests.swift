import HealthCore
import Testing

@Suite struct PrimaryTrackTests {
    @Test func theLagIsTheTimeSinceTheLastMomentWhoseLogTheReplicaHas() {
        var track = PrimaryTrack()
        #expect(track.lag(at: 100, now: 5) == nil)
        for (time, position) in [(0.0, UInt64(100)), (5, 200), (10, 200), (15, 300)] { track.wrote(position, at: time) }
        #expect(track.lag(at: 300, now: 16) == .zero && track.lag(at: 999, now: 16) == .zero)
        #expect(track.lag(at: 299, now: 16) == .seconds(6) && track.lag(at: 200, now: 16) == .seconds(6))
        #expect(track.lag(at: 150, now: 16) == .seconds(16))
        // From before anything was seen.
        #expect(track.lag(at: 1, now: 16) == .seconds(16))
    }

    @Test func aRestIsNoLag() {
        var track = PrimaryTrack()
        for time in 0..<1000 { track.wrote(100, at: Double(time) * 5) }
        track.wrote(200, at: 5000)
        // The replica is about to replay what was just written: it has all that there was five seconds ago.
        #expect(track.lag(at: 100, now: 5001) == .seconds(6))
    }

    @Test func theTrackIsBoundedGoesFarBackAndStaysExactForWhatIsNew() {
        var track = PrimaryTrack()
        for time in 0..<100_000 { track.wrote(UInt64(time), at: Double(time)) }
        for behind in [1, 10, 50] { #expect(track.lag(at: UInt64(99_999 - behind), now: 99_999) == .seconds(behind)) }
        let far = track.lag(at: 90_000, now: 99_999) ?? .zero
        #expect(far >= .seconds(9999))
        #expect(track.lag(at: 0, now: 99_999) == .seconds(99_999))
    }

    @Test func aLogThatBeginsAnewIsAnotherOne() {
        var track = PrimaryTrack()
        track.wrote(1000, at: 0)
        track.wrote(10, at: 5)
        #expect(track.lag(at: 10, now: 6) == .zero && track.lag(at: 5, now: 6) == .seconds(1))
    }
}
