internal import ControlAPI
import Crypto
import Synchronization

/// Remembers the answers to writes that carried an `Idempotency-Key`, so that a repeated request does nothing and hears the same.
///
/// In memory, for 24 hours, at most `entriesMax`; when it is full the oldest goes first, and a restart of the server forgets all. Answers of 5xx and 429 are not kept: the
/// request may be tried again.
package final class IdempotencyCache: Sendable {
    package static let lifetime = Duration.seconds(24 * 3600)
    package static let entriesMax = 10_000
    package static let keyLengthMax = 255
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
        /// Keys by age, oldest first; may name entries that are gone.
        var order: [String] = []
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> ContinuousClock.Instant
    private let capacity: Int

    package init(capacity: Int = entriesMax, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.capacity = capacity
        self.now = now
    }

    /// Runs `operation` unless this request was answered before; throws 409 when the key stands for another request, or when the first is still running.
    func answer(
        key: String, method: String, path: String, body: [UInt8], _ operation: () async -> RESTAnswer
    ) async throws(APIError) -> RESTAnswer {
        guard !key.isEmpty, key.utf8.count <= Self.keyLengthMax else {
            throw APIError(.invalidRequest, "Idempotency-Key must have 1 to \(Self.keyLengthMax) characters")
        }
        var hash = SHA256()
        hash.update(data: Array("\(method) \(path)\n".utf8))
        hash.update(data: body)
        if let known = try begin(key, digest: Array(hash.finalize())) { return known }
        let answer = await operation()
        end(key, answer)
        return answer
    }

    private func begin(_ key: String, digest: [UInt8]) throws(APIError) -> RESTAnswer? {
        let oldest = now() - Self.lifetime
        let found: Entry? = state.withLock { state in
            while let first = state.order.first, state.entries[first].map({ $0.since < oldest }) ?? true {
                state.order.removeFirst()
                state.entries[first] = nil
            }
            if let known = state.entries[key] { return known.entry }
            if state.entries.count >= capacity, !state.order.isEmpty { state.entries[state.order.removeFirst()] = nil }
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

    private func end(_ key: String, _ answer: RESTAnswer) {
        state.withLock { state in
            guard let entry = state.entries[key] else { return }
            if answer.status >= 500 || answer.status == 429 || answer.body.count > Self.answerMax {
                state.entries[key] = nil
                state.order.removeAll { $0 == key }
            } else {
                state.entries[key] = (.done(digest: entry.entry.digest, answer: answer), entry.since)
            }
        }
    }
}
