package import ControlAPI
internal import Crypto
internal import Synchronization

/// Remembers the answers to writes that carried an `Idempotency-Key`, so that a repeated request does nothing and hears the same.
///
/// In memory of this server (what is to outlive it is kept elsewhere: `RESTRequest.repetition`), for 24 hours, at most `entriesMax` and `bytesMax`; when it is full
/// the oldest goes first, and a restart of the server forgets all. Answers of 5xx, 409 and 429 are not kept: nothing was done, for a reason that passes, and the
/// request may be tried again.
package final class IdempotencyCache: Sendable {
    package static let lifetime = Duration.seconds(24 * 3600)
    package static let entriesMax = 10_000
    /// Of all answers together.
    package static let bytesMax = 64 << 20
    /// Longer answers are not kept.
    static let answerMax = 1 << 20

    enum Entry {
        case running(digest: [UInt8])
        case done(digest: [UInt8], answer: RESTAnswer)
        var digest: [UInt8] {
            switch self {
            case .running(let digest), .done(let digest, _): digest
            }
        }
    }
    private struct State {
        var entries: [String: (entry: Entry, since: ContinuousClock.Instant)] = [:]
        /// Keys by age, oldest first.
        var order: [String] = []
        /// Of the answers held.
        var bytes = 0

        mutating func remove(_ key: String) {
            guard let entry = entries.removeValue(forKey: key)?.entry else { return }
            if case .done(_, let answer) = entry { bytes -= answer.body.count }
            order.removeAll { $0 == key }
        }
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> ContinuousClock.Instant
    private let capacity: Int

    package init(capacity: Int = entriesMax, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.capacity = capacity
        self.now = now
    }

    /// Runs `operation` unless this request was answered before; throws 409 when the key stands for another request, or when the first is still running.
    ///
    /// - caller: whose key it is; another's of the same text is another.
    package func answer(
        key: String, of caller: String? = nil, method: String, path: String, body: [UInt8], _ operation: () async -> RESTAnswer
    ) async throws(APIError) -> RESTAnswer {
        try Self.check(key)
        let key = caller.map { "\($0)\n\(key)" } ?? key
        var hash = SHA256()
        hash.update(data: Array("\(method) \(path)\n".utf8))
        hash.update(data: body)
        let digest = Array(hash.finalize())
        if let known = try begin(key, digest: digest) { return known }
        let answer = await operation()
        end(key, digest: digest, answer)
        return answer
    }

    static func check(_ key: String) throws(APIError) {
        guard RequestLimits.isIdempotencyKey(key) else {
            throw APIError(
                .invalidRequest, "Idempotency-Key must have 1 to \(RequestLimits.idempotencyKeyLength.upperBound) visible characters of ASCII")
        }
    }

    private func begin(_ key: String, digest: [UInt8]) throws(APIError) -> RESTAnswer? {
        let oldest = now() - Self.lifetime
        let found: Entry? = state.withLock { state in
            while let first = state.order.first, let entry = state.entries[first], entry.since < oldest { state.remove(first) }
            if let known = state.entries[key] { return known.entry }
            if state.entries.count >= capacity, let first = state.order.first { state.remove(first) }
            state.entries[key] = (.running(digest: digest), now())
            state.order.append(key)
            return nil
        }
        guard let found else { return nil }
        guard found.digest == digest else {
            throw APIError(.idempotencyMismatch, "this Idempotency-Key was used for a different request")
        }
        guard case .done(_, let answer) = found else {
            throw APIError(.requestInProgress, "the first request with this Idempotency-Key is still running", retryAfter: 1)
        }
        return answer
    }

    private func end(_ key: String, digest: [UInt8], _ answer: RESTAnswer) {
        state.withLock { state in
            // Another request may have the key by now, when this one's entry had to go.
            guard let entry = state.entries[key], case .running(let running) = entry.entry, running == digest else { return }
            if answer.status >= 500 || [409, 429].contains(answer.status) || answer.body.count > Self.answerMax {
                state.remove(key)
            } else {
                state.entries[key] = (.done(digest: digest, answer: answer), entry.since)
                state.bytes += answer.body.count
                while state.bytes > Self.bytesMax, let first = state.order.first { state.remove(first) }
            }
        }
    }
}
