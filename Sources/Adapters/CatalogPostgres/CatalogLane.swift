internal import CatalogStore
internal import NIOCore
internal import PGChannel
internal import PGWire

/// One connection to the catalog's server, made anew after each failure. Calls on it run one after the other.
actor CatalogLane {
    private let endpoint: PostgresEndpoint
    private let group: any EventLoopGroup
    private let timing: CatalogTiming
    /// What a new session begins with. `TimeAmount`: how long it may take.
    private let prepare: @Sendable (PGClient, TimeAmount) async throws -> Void

    private var client: PGClient?
    private var isConnecting = false
    private var isClosed = false
    private let changed = Bell()
    /// Since the last connection: when the server was first found to be away, how often, why, and when to try again.
    private var downSince: ContinuousClock.Instant?
    private var failures = 0
    private var lastFailure: PGClientError?
    private var notBefore: ContinuousClock.Instant?

    init(
        _ endpoint: PostgresEndpoint, on group: any EventLoopGroup, _ timing: CatalogTiming,
        prepare: @escaping @Sendable (PGClient, TimeAmount) async throws -> Void
    ) {
        self.endpoint = endpoint
        self.group = group
        self.timing = timing
        self.prepare = prepare
    }

    /// Runs `work` on the connection.
    ///
    /// What certainly did not run is tried again until `deadline`; with `isRepeatable`, whatever failed with the connection. `work` keeps to the time
    /// it is given.
    func run<Value: Sendable>(
        until deadline: ContinuousClock.Instant, isRepeatable: Bool, _ work: @Sendable (PGClient, TimeAmount) async throws -> Value
    ) async throws -> Value {
        while true {
            let client = try await connected(until: deadline)
            guard deadline > .now else { throw PGClientError(.timedOut, execution: .didNotRun) }
            do {
                return try await work(client, TimeAmount(deadline - .now))
            } catch let error as PGClientError {
                if error.endsConnection { drop(client, error) }
                guard error.execution == .didNotRun || isRepeatable, error.isWorthRepeating, deadline > .now else { throw error }
            }
        }
    }

    /// Ends the connection; calls under way fail, and so do later ones.
    func close() async {
        isClosed = true
        let last = client
        client = nil
        changed.ring()
        await last?.close()
    }

    // MARK: connecting

    private func connected(until deadline: ContinuousClock.Instant) async throws -> PGClient {
        while true {
            if isClosed { throw CatalogError.unavailable("the catalog store is closed") }
            if let client {
                if client.isOpen { return client }
                self.client = nil
            }
            let rings = changed.rings
            let now = ContinuousClock.now
            if !isConnecting, notBefore.map({ $0 <= now }) ?? true { startConnecting() }
            // Somebody always tries; nobody waits for a server that is away for long, or that says no.
            if let lastFailure, let downSince, now - downSince >= timing.patience || !lastFailure.isWorthRepeating { throw lastFailure }
            if now >= deadline || Task.isCancelled { throw lastFailure ?? PGClientError(.timedOut, execution: .didNotRun) }
            await changed.wait(after: rings, until: isConnecting ? deadline : min(deadline, notBefore ?? deadline))
        }
    }

    private func startConnecting() {
        isConnecting = true
        // In a task of its own, so that it goes on when its first caller has left.
        Task { await self.connect() }
    }

    private func connect() async {
        let deadline = ContinuousClock.now + timing.call
        var options = PGClient.Options()
        options.connectTimeout = min(endpoint.connectTimeout ?? TimeAmount(timing.call), TimeAmount(timing.call))
        options.callTimeout = TimeAmount(timing.call)
        do {
            let new = try await PGClient.connect(to: endpoint, on: group, options: options)
            do {
                try await prepare(new, TimeAmount(deadline - .now))
            } catch {
                await new.close()
                throw error
            }
            isConnecting = false
            if isClosed {
                changed.ring()
                return await new.close()
            }
            client = new
            (downSince, failures, lastFailure, notBefore) = (nil, 0, nil, nil)
        } catch {
            isConnecting = false
            failed(error as? PGClientError ?? PGClientError(.connectionClosed, execution: .didNotRun))
        }
        changed.ring()
    }

    private func failed(_ error: PGClientError) {
        // Whatever it was: for the call that waits for a connection nothing has run.
        lastFailure = PGClientError(error.cause, execution: .didNotRun)
        if downSince == nil { downSince = .now }
        let pause = timing.pauseMin * (1 << min(failures, 16))
        failures += 1
        notBefore = .now + min(pause, timing.pauseMax)
    }

    /// Gives up a connection that failed a call.
    private func drop(_ failed: PGClient, _ error: PGClientError) {
        if client === failed {
            client = nil
            // Who did not answer for the length of a call has been away for that long; whether it still is, the next attempt to connect shows.
            if case .timedOut = error.cause, downSince == nil { downSince = .now - timing.call }
            changed.ring()
        }
        Task { await failed.close() }
    }
}

extension PGClientError {
    /// The connection is of no further use.
    var endsConnection: Bool {
        switch cause {
        case .server(let error): error.isFatal
        case .connect, .connectionClosed, .protocolViolation, .timedOut, .cancelled: true
        case .tooManyCalls, .invalidCall, .resultTooLarge, .copySource: false
        }
    }

    /// The same again may go better: the connection failed, or the server asks for it.
    fileprivate var isWorthRepeating: Bool {
        switch cause {
        case .server(let error): error.isFatal || error.sqlState == .deadlockDetected || error.sqlState == .serializationFailure
        case .connect(let error): error.isTransient
        case .connectionClosed: true
        case .timedOut, .cancelled, .protocolViolation, .tooManyCalls, .invalidCall, .resultTooLarge, .copySource: false
        }
    }
}
