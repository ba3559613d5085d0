internal import CatalogStore
internal import GRPCCore
internal import NIOPosix
internal import Synchronization

/// Asks one endpoint of a cluster after the other, until one answers. Every request has a deadline, and one that an endpoint does not answer in time
/// makes everybody leave it.
final class EtcdClient: Sendable {
    let location: EtcdLocation
    let timing: EtcdTiming
    private let group: MultiThreadedEventLoopGroup
    private let state = Mutex(State())

    private struct State {
        var isClosed = false
        var connection: EtcdConnection?
        /// Of the endpoint that is asked.
        var index = 0
        /// Since the last answer: how many endpoints were left, since when none answers, why, and when to try again.
        var failures = 0
        var downSince: ContinuousClock.Instant?
        var lastFailure: EtcdFailure?
        var notBefore: ContinuousClock.Instant?
        /// Of the first answer.
        var clusterID: UInt64?
    }

    init(_ location: EtcdLocation, on group: MultiThreadedEventLoopGroup, _ timing: EtcdTiming) {
        (self.location, self.group, self.timing) = (location, group, timing)
        // Not everybody begins with the first.
        state.withLock { $0.index = Int.random(in: 0..<location.endpoints.count) }
    }

    deinit { close() }

    func close() {
        let connection = state.withLock { state in
            state.isClosed = true
            defer { state.connection = nil }
            return state.connection
        }
        connection?.close()
    }

    /// Runs `work` on a connection, within the options' timeout.
    ///
    /// What certainly did not run is tried again until `deadline`; with `isRepeatable`, whatever failed with the endpoint.
    func run<Value: Sendable>(
        until deadline: ContinuousClock.Instant, isRepeatable: Bool,
        _ work: @escaping @Sendable (EtcdConnection, Metadata, CallOptions) async throws -> Value
    ) async throws(EtcdFailure) -> Value {
        var refusals = 0
        while true {
            let connection = try await connection(until: deadline)
            var metadata = Metadata()
            let failure: EtcdFailure
            do {
                let patience: Duration = deadline - .now
                let limit = min(patience, attempt)
                metadata = try await Self.limited(limit, didNotRun: true) { try await connection.metadata(within: limit) }
                let rest: Duration = min(limit, ContinuousClock.now.duration(to: deadline))
                let login = metadata
                let value = try await Self.limited(rest, didNotRun: false) { try await work(connection, login, Self.options(rest)) }
                answered(connection)
                return value
            } catch {
                failure = EtcdFailure(error)
            }
            if failure.cause == .tokenRefused {
                refusals += 1
                await connection.forgetToken(of: metadata)
            }
            if failure.leavesEndpoint { leave(connection, failure) } else { answered(connection) }
            let mayRepeat = (failure.didNotRun || isRepeatable) && failure.isWorthRepeating && !(refusals > 2)
            guard mayRepeat, .now < deadline, !Task.isCancelled else { throw failure }
        }
    }

    /// gRPC ends a call at its limit. Should it not, nobody waits for ever: a request of a manager's would never be answered, nor its `Idempotency-Key` be free.
    private static func limited<Value: Sendable>(
        _ limit: Duration, didNotRun: Bool, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await LimitedWait.value(until: .now + max(limit, .milliseconds(1)) + overtime, work)
        } catch is LimitedWait.TimedOut {
            throw EtcdFailure(.timedOut, didNotRun: didNotRun)
        }
    }

    /// What gRPC has, behind a call's limit, to end it.
    private static let overtime = Duration.seconds(1)

    /// The longest that one endpoint may take.
    private var attempt: Duration { location.endpoints.count > 1 ? timing.attempt : timing.call }

    private static func options(_ limit: Duration) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = max(limit, .milliseconds(1))
        // An endpoint that cannot be reached is not waited for: there are others, and pauses of our own.
        options.waitForReady = false
        options.maxResponseMessageBytes = EtcdConnection.answerMax
        return options
    }

    // MARK: endpoints

    /// The connection that everybody uses, made where there is none.
    func connection(until deadline: ContinuousClock.Instant) async throws(EtcdFailure) -> EtcdConnection {
        while true {
            let now = ContinuousClock.now
            let (found, pause) = try state.withLock { (state) throws(EtcdFailure) -> (EtcdConnection?, ContinuousClock.Instant?) in
                if state.isClosed { throw EtcdFailure(.local("the catalog store is closed"), didNotRun: true) }
                if let connection = state.connection { return (connection, nil) }
                let last = EtcdFailure(state.lastFailure?.cause ?? .timedOut, didNotRun: true)
                if let notBefore = state.notBefore, notBefore > now {
                    // Nobody waits for a cluster that is away for long, and was tried in the meantime.
                    let wasTriedAgain = state.failures >= 2 * location.endpoints.count
                    if wasTriedAgain, let downSince = state.downSince, now - downSince >= timing.patience { throw last }
                    guard notBefore < deadline else { throw last }
                    return (nil, notBefore)
                }
                guard now < deadline else { throw last }
                let endpoint = location.endpoints[state.index % location.endpoints.count]
                do {
                    let connection = try EtcdConnection(to: endpoint, location, on: group)
                    state.connection = connection
                    return (connection, nil)
                } catch {
                    // Settings or files of our own.
                    throw EtcdFailure(error as? EtcdLocationError ?? EtcdFailure(.local("\(error)"), didNotRun: true))
                }
            }
            if let found { return found }
            if let pause { try? await Task.sleep(until: pause, clock: .continuous) }
            if Task.isCancelled { throw EtcdFailure(.lost("the request was given up"), didNotRun: true) }
        }
    }

    /// Goes on to the next endpoint, unless somebody else already has.
    func leave(_ connection: EtcdConnection, _ failure: EtcdFailure) {
        state.withLock { state in
            guard state.connection === connection else { return }
            state.connection = nil
            state.index = (state.index + 1) % location.endpoints.count
            state.lastFailure = failure
            // Who did not answer for the length of an attempt has been away for that long.
            if state.downSince == nil { state.downSince = failure.cause == .timedOut ? .now - attempt : .now }
            state.failures += 1
            guard state.failures.isMultiple(of: location.endpoints.count) else { return }
            let round = state.failures / location.endpoints.count - 1
            state.notBefore = .now + min(timing.pauseMin * (1 << min(round, 16)), timing.pauseMax)
        }
        connection.close()
    }

    private func answered(_ connection: EtcdConnection) {
        state.withLock { state in
            guard state.connection === connection else { return }
            (state.failures, state.downSince, state.lastFailure, state.notBefore) = (0, nil, nil, nil)
        }
    }

    /// All endpoints, and those of later, must be of one cluster: two would have two histories.
    func check(_ header: Etcdserverpb_ResponseHeader, from endpoint: EtcdLocation.Endpoint) throws(EtcdFailure) {
        let isSame = state.withLock { state in
            if state.clusterID == nil { state.clusterID = header.clusterID }
            return state.clusterID == header.clusterID
        }
        guard isSame else {
            let text = "\(endpoint) belongs to another etcd cluster than was asked before: the URL names two clusters, or one was made anew "
                + "of a backup; restart this process to take it as it is"
            throw EtcdFailure(.foreign(text), didNotRun: false)
        }
    }
}
