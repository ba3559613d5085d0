/// The health of one server, by what its probes found. Pure; moments are seconds since 1970, as the API shows them.
///
/// A probe that fails makes a healthy server degraded at once, because something is wrong, and unreachable only after `rules.failures` in a row: what is
/// built on that (failover) must not move for one lost packet. A server is healthy again after `rules.recoveries` good probes in a row, so that one
/// which comes and goes does not change its state with each probe.
package struct ServerHealth: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
        /// Not probed yet.
        case unknown
        case healthy
        /// It answers, or did so just now, and something is wrong.
        case degraded
        /// It has not answered several probes in a row.
        case unreachable
    }

    /// One change of the state, or of the reasons for it.
    package struct Transition: Hashable, Sendable {
        package var time: Double
        package var from: State
        package var to: State
        package var reasons: [HealthReason]

        package init(time: Double, from: State, to: State, reasons: [HealthReason]) {
            self.time = time
            self.from = from
            self.to = to
            self.reasons = reasons
        }
    }

    /// How many changes are kept.
    package static let transitionsMax = 50

    package private(set) var state = State.unknown
    /// Why it is not healthy; empty while it is, and while nothing is known.
    package private(set) var reasons: [HealthReason] = []
    /// Since when it has this state.
    package private(set) var since: Double
    /// Newest last.
    package private(set) var transitions: [Transition] = []
    /// Probes in a row that failed, and that were good.
    package private(set) var failures = 0
    package private(set) var recoveries = 0

    package init(at time: Double) { since = time }

    /// - found: what is wrong; empty: nothing.
    ///
    /// Returns the change, where there is one.
    package mutating func probed(_ found: [HealthReason], at time: Double, _ rules: HealthRules) -> Transition? {
        let isFailure = found.contains { !$0.isOfReachableServer }
        failures = isFailure ? failures + 1 : 0
        recoveries = found.isEmpty ? recoveries + 1 : 0
        let next = next(found, isFailure, rules)
        // While it is not believed to be well yet, what was wrong last stands.
        let nextReasons = found.isEmpty && next != .healthy ? reasons : found
        guard next != state || nextReasons != reasons else { return nil }
        let transition = Transition(time: time, from: state, to: next, reasons: nextReasons)
        if next != state { since = time }
        (state, reasons) = (next, nextReasons)
        transitions.append(transition)
        if transitions.count > Self.transitionsMax { transitions.removeFirst(transitions.count - Self.transitionsMax) }
        return transition
    }

    private func next(_ found: [HealthReason], _ isFailure: Bool, _ rules: HealthRules) -> State {
        if isFailure { return failures >= rules.failures || state == .unreachable ? .unreachable : .degraded }
        if !found.isEmpty { return .degraded }
        // The first probe of all needs no second.
        if state == .unknown || state == .healthy || recoveries >= rules.recoveries { return .healthy }
        return .degraded
    }
}
