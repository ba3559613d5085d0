import LeaderCore
import Testing

@Suite struct LeadershipTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }
    private let fresh = Leadership(lease: .seconds(3))

    @Test func whoeverGetsTheLeaseLeadsUntilItsEndCountedFromWhenItWasAskedFor() {
        var leadership = fresh
        #expect(leadership.token(at: start) == nil)
        #expect(leadership.apply(.granted(token: 7, asked: at(0)), at: at(1)) == [.lead(token: 7)])
        #expect(leadership.token(at: at(2.9)) == 7 && leadership.token(at: at(3)) == nil)
        #expect(leadership.apply(.granted(token: 7, asked: at(1)), at: at(1.1)) == [])
        #expect(leadership.token(at: at(3.9)) == 7 && leadership.token(at: at(4)) == nil)
        #expect(leadership.apply(.passed, at: at(4)) == [.stepDown(token: 7, .expired)])
        #expect(leadership.apply(.passed, at: at(5)) == [])
    }

    @Test func anAnswerThatCameAfterTheLeasesEndMakesNoLeader() {
        var leadership = fresh
        #expect(leadership.apply(.granted(token: 7, asked: at(0)), at: at(3)) == [])
        #expect(leadership.token(at: at(3)) == nil)
        // Stopped in the middle of a renewal, and resumed.
        _ = leadership.apply(.granted(token: 7, asked: at(4)), at: at(4))
        #expect(leadership.apply(.granted(token: 7, asked: at(5)), at: at(60)) == [.stepDown(token: 7, .expired)])
    }

    @Test func aRenewalThatOvertookAnotherDoesNotShortenTheLease() {
        var leadership = fresh
        _ = leadership.apply(.granted(token: 7, asked: at(2)), at: at(2))
        _ = leadership.apply(.granted(token: 7, asked: at(1)), at: at(2.1))
        #expect(leadership.token(at: at(4.9)) == 7)
    }

    @Test func aRefusedTokenLeadsNoMoreWhateverArrivesLater() {
        var leadership = fresh
        _ = leadership.apply(.granted(token: 7, asked: at(0)), at: at(0))
        #expect(leadership.apply(.fenced(token: 6), at: at(1)) == [])
        #expect(leadership.apply(.fenced(token: 7), at: at(1)) == [.stepDown(token: 7, .fenced)])
        #expect(leadership.apply(.granted(token: 7, asked: at(1)), at: at(1)) == [])
        #expect(leadership.apply(.granted(token: 9, asked: at(1)), at: at(1)) == [.lead(token: 9)])
    }

    @Test func anotherTokenIsAnotherLeadership() {
        var leadership = fresh
        _ = leadership.apply(.granted(token: 7, asked: at(0)), at: at(0))
        #expect(leadership.apply(.granted(token: 8, asked: at(1)), at: at(1)) == [.stepDown(token: 7, .expired), .lead(token: 8)])
    }

    @Test func aLeaderThatIsDeniedFollowsAndAStoreThatFailsChangesNothingBeforeTheEnd() {
        var leadership = fresh
        #expect(leadership.apply(.denied(leader: "a"), at: at(0)) == [.follow(leader: "a")])
        #expect(leadership.apply(.denied(leader: "a"), at: at(0)) == [])
        #expect(leadership.apply(.failed, at: at(0)) == [])
        #expect(leadership.role == .follower(leader: "a"))
        _ = leadership.apply(.granted(token: 7, asked: at(1)), at: at(1))
        #expect(leadership.apply(.failed, at: at(2)) == [])
        #expect(leadership.apply(.denied(leader: "b"), at: at(3)) == [.stepDown(token: 7, .lost), .follow(leader: "b")])
    }

    @Test func whoEndsGivesTheLeaseBackAndTakesItNoMore() {
        var leadership = fresh
        _ = leadership.apply(.granted(token: 7, asked: at(0)), at: at(0))
        #expect(leadership.apply(.stopping, at: at(1)) == [.stepDown(token: 7, .stopping), .release(token: 7)])
        // One that was under way.
        #expect(leadership.apply(.granted(token: 8, asked: at(0.9)), at: at(1.1)) == [.release(token: 8)])
        #expect(leadership.apply(.stopping, at: at(2)) == [])
    }

    /// All sequences of five events: no token leads twice, none leads after a greater one or after its refusal, and each start has one end at most.
    @Test func noTokenComesBackInAnySequence() {
        let events: [Leadership.Event] = [
            .granted(token: 1, asked: at(0)), .granted(token: 2, asked: at(2)), .granted(token: 3, asked: at(4)), .denied(leader: "a"), .failed,
            .fenced(token: 2), .stopping,
        ]
        var sequences = 0
        func explore(_ leadership: Leadership, _ led: [UInt64], _ fenced: Bool, _ depth: Int) {
            sequences += 1
            guard depth < 5 else { return }
            for event in events {
                for moment in [at(Double(depth)), at(Double(depth) + 4)] {
                    var next = leadership
                    var (led, fenced) = (led, fenced)
                    for action in next.apply(event, at: moment) {
                        if case .lead(let token) = action {
                            #expect(led.last.map { $0 < token || $0 == token && !fenced } ?? true, "\(led) then \(token)")
                            #expect(!(token <= 2 && fenced))
                            led.append(token)
                        }
                        if case .stepDown(let token, _) = action { #expect(led.last == token) }
                    }
                    if event == .fenced(token: 2) { fenced = true }
                    if case .leader(let token, let until) = next.role { #expect(led.last == token && until > start) }
                    if depth < 2 || moment == at(Double(depth)) { explore(next, led, fenced, depth + 1) }
                }
            }
        }
        explore(fresh, [], false, 0)
        #expect(sequences > 20_000)
    }
}
