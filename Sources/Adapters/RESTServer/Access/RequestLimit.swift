internal import ControlAPI
internal import Foundation
internal import Synchronization

/// How many requests a second each user, or each address, may make: a bucket of tokens for each, in bounded memory.
final class RequestLimit: Sendable {
    /// Who has not used its tokens up lately is forgotten first; where all have, the others share one bucket.
    static let bucketsMax = 10_000

    private struct Bucket {
        var tokens: Double
        var filledAt: Double
    }
    private struct State {
        var buckets: [String: Bucket] = [:]
        var others: Bucket
        /// Not looked through again with each request.
        var sweepAt = 0.0
    }

    private let perSecond: Double
    private let state: Mutex<State>
    /// Seconds, of a clock that only goes forward.
    private let now: @Sendable () -> Double

    /// nil: no limit.
    init?(perSecond: Int, now: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime }) {
        guard perSecond > 0 else { return nil }
        self.perSecond = Double(perSecond)
        self.now = now
        // As many as a second gives may come at once.
        state = Mutex(State(others: Bucket(tokens: Double(perSecond), filledAt: now())))
    }

    /// Throws an `APIError` of 429 where the second's requests have been made.
    func take(_ name: String) throws(APIError) {
        let time = now()
        let wait = state.withLock { state -> Double? in
            if state.buckets[name] == nil, state.buckets.count >= Self.bucketsMax {
                sweep(&state, time)
                if state.buckets.count >= Self.bucketsMax { return take(&state.others, time) }
            }
            return take(&state.buckets[name, default: Bucket(tokens: perSecond, filledAt: time)], time)
        }
        guard let wait else { return }
        throw APIError(.tooManyRequests, "more requests than \(Int(perSecond)) a second", retryAfter: max(1, Int(wait.rounded(.up))))
    }

    var count: Int { state.withLock { $0.buckets.count } }

    /// nil: there was one; else how long the next takes.
    private func take(_ bucket: inout Bucket, _ time: Double) -> Double? {
        bucket.tokens = tokens(bucket, time)
        bucket.filledAt = time
        guard bucket.tokens >= 1 else { return (1 - bucket.tokens) / perSecond }
        bucket.tokens -= 1
        return nil
    }

    private func tokens(_ bucket: Bucket, _ time: Double) -> Double { min(perSecond, bucket.tokens + (time - bucket.filledAt) * perSecond) }

    private func sweep(_ state: inout State, _ time: Double) {
        guard time >= state.sweepAt else { return }
        state.sweepAt = time + 1
        state.buckets = state.buckets.filter { tokens($0.value, time) < perSecond }
    }
}

extension RequestLimit {
    /// By the address of the caller. Whoever watches the server's health is not turned away.
    func takeForCall(_ route: APIRoute, from address: CallerAddress) throws(APIError) {
        guard CallerWatch.current != nil, !OperationsRoutes.ids.contains(route.id) else { return }
        try take(address.counted)
    }
}
