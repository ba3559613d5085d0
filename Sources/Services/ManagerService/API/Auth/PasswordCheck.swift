internal import ControlAPI
internal import Foundation
internal import PGWire
internal import Secrets
internal import ShardModel
internal import Synchronization

/// Whether somebody knows a user's password: the same work and the same answer whether or not there is such a user.
package final class PasswordCheck: Sendable {
    /// How many are worked on at a time: each costs milliseconds of a core.
    static let runningMax = 4
    /// How many may wait; further ones get 429.
    static let waitingMax = 64

    private struct State {
        var throttle = LoginThrottle()
        var running = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    /// Makes the verifiers of users that do not exist.
    private let mockSecret = SecureRandom.bytes(32)
    /// Seconds, of a clock that only goes forward.
    private let now: @Sendable () -> Double

    /// Of the work for users that do not exist; that of those who do stands in their verifiers.
    private let iterations: Int

    /// - iterations: other than the usual ones in tests only.
    package init(iterations: Int = 4096, now: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime }) {
        self.iterations = iterations
        self.now = now
    }

    /// Returns the user whose password it is. Throws an `APIError`: 401 `LOGIN_FAILED`, or 429 where too many tries have failed.
    func user(named name: String, password: String, address: String, in catalog: CatalogSnapshot) async throws(APIError) -> UserRecord {
        try refuseTooMany(name, address)
        try await enter()
        defer { leave() }
        // The turn may have come late.
        try refuseTooMany(name, address)
        let record = catalog.users[name]
        let known = record.flatMap { ScramVerifier.parse($0.verifier) }
        let verifier = known ?? .mock(user: String(name.prefix(64)), secret: mockSecret, iterations: iterations)
        // What is too long to be a password is not worth the work of one, and costs no less.
        let tried = password.utf8.count <= RequestLimits.passwordBytes.upperBound ? password : ""
        let keys = ScramKeys(password: tried, salt: verifier.salt, iterations: verifier.iterations)
        let isRight = ConstantTime.equal(keys.storedKey, verifier.storedKey)
        guard isRight, known != nil, tried == password, let record else {
            state.withLock { $0.throttle.failed(user: name, address: address, now: now()) }
            throw APIError(.loginFailed, "the user or the password is wrong")
        }
        state.withLock { $0.throttle.succeeded(user: name, address: address) }
        return record
    }

    private func refuseTooMany(_ user: String, _ address: String) throws(APIError) {
        guard let wait = state.withLock({ $0.throttle.wait(user: user, address: address, now: now()) }) else { return }
        throw APIError(.tooManyRequests, "too many logins have failed", retryAfter: Int(wait.rounded(.up)))
    }

    private func enter() async throws(APIError) {
        let isFull = state.withLock { $0.running >= Self.runningMax && $0.waiting.count >= Self.waitingMax }
        if isFull { throw APIError(.tooManyRequests, "too many logins wait for their turn") }
        await withCheckedContinuation { continuation in
            let runs = state.withLock { state in
                guard state.running >= Self.runningMax else {
                    state.running += 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if runs { continuation.resume() }
        }
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.running -= 1
            return nil
        }
        next?.resume()
    }
}
