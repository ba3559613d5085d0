/// Whether this manager leads, decided by what the catalog store says of the lease. Pure: moments are passed in.
///
/// What it decides is a matter of manners: it keeps a manager from acting when it need not be told that it may not. Two may believe to lead at once all
/// the same (one was stopped, and has not looked at a clock yet); what keeps them from both acting is the fencing token, which the store checks.
package struct Leadership: Hashable, Sendable {
    package typealias Moment = ContinuousClock.Instant

    package enum Role: Hashable, Sendable {
        /// `leader`: whoever holds the lease, as the store said last; nil: nobody, or not known.
        case follower(leader: String?)
        /// The lease is certainly held until then, if nobody takes it away.
        case leader(token: UInt64, until: Moment)
    }

    package enum Event: Hashable, Sendable {
        /// The store gave or renewed the lease, for a request that was sent at `asked`.
        case granted(token: UInt64, asked: Moment)
        /// Somebody else has it.
        case denied(leader: String?)
        /// The store did not answer, or failed.
        case failed
        /// The store refused a commit under this token.
        case fenced(token: UInt64)
        /// Nothing but time has passed.
        case passed
        /// This manager ends: it leads no more.
        case stopping
    }

    package enum End: String, Hashable, Sendable {
        /// Another holds the lease, or has held it.
        case lost
        /// It could not be renewed in time.
        case expired
        case fenced
        case stopping
    }

    package enum Action: Hashable, Sendable {
        case lead(token: UInt64)
        case stepDown(token: UInt64, End)
        /// Another leads now, or nobody.
        case follow(leader: String?)
        /// Give the lease back.
        case release(token: UInt64)
    }

    package private(set) var role = Role.follower(leader: nil)
    private let lease: Duration
    private var isStopping = false
    /// The newest token that is known to be worth nothing.
    private var spentToken: UInt64 = 0

    /// - lease: for how long each request asks for it.
    package init(lease: Duration) { self.lease = lease }

    /// The token to act under at this moment; nil: another leads, or may.
    package func token(at now: Moment) -> UInt64? {
        guard case .leader(let token, let until) = role, now < until else { return nil }
        return token
    }

    /// How long to wait before asking for the lease again: its holder renews it three times in its life, the others would have it soon after its end.
    package var pause: Duration {
        switch role {
        case .leader: lease / 3
        case .follower: min(lease / 6, .milliseconds(500))
        }
    }

    package mutating func apply(_ event: Event, at now: Moment) -> [Action] {
        switch event {
        case .granted(let token, let asked): granted(token, until: asked + lease, now)
        case .denied(let leader): stepDown(.lost) + follow(leader)
        case .failed, .passed: expire(now)
        case .fenced(let token): fenced(token)
        case .stopping: stop()
        }
    }

    private mutating func granted(_ token: UInt64, until: Moment, _ now: Moment) -> [Action] {
        if isStopping { return [.release(token: token)] }
        // An answer that took longer than the lease says nothing of now, nor does one that was under way when the token was refused.
        guard now < until, token > spentToken else { return expire(now) }
        if case .leader(token, let known) = role {
            role = .leader(token: token, until: max(known, until))
            return []
        }
        // Another token: the lease had ended in between, and others may have acted.
        let actions = stepDown(.expired)
        role = .leader(token: token, until: until)
        if token > 0 { spentToken = token - 1 }
        return actions + [.lead(token: token)]
    }

    private mutating func expire(_ now: Moment) -> [Action] {
        guard case .leader(_, let until) = role, now >= until else { return [] }
        return stepDown(.expired)
    }

    private mutating func fenced(_ token: UInt64) -> [Action] {
        spentToken = max(spentToken, token)
        guard case .leader(token, _) = role else { return [] }
        return stepDown(.fenced)
    }

    private mutating func stop() -> [Action] {
        isStopping = true
        guard case .leader(let token, _) = role else { return [] }
        return stepDown(.stopping) + [.release(token: token)]
    }

    private mutating func stepDown(_ end: End) -> [Action] {
        guard case .leader(let token, _) = role else { return [] }
        if end != .expired { spentToken = max(spentToken, token) }
        role = .follower(leader: nil)
        return [.stepDown(token: token, end)]
    }

    private mutating func follow(_ leader: String?) -> [Action] {
        guard role != .follower(leader: leader) else { return [] }
        role = .follower(leader: leader)
        return [.follow(leader: leader)]
    }
}
