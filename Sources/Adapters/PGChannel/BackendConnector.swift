package import NIOCore
internal import NIOPosix
package import PGWire

/// Opens sessions with PostgreSQL servers.
package enum BackendConnector {
    package static let timeoutDefault = TimeAmount.seconds(10)

    /// What the session is for, beside the endpoint's own values.
    package struct Overrides: Hashable, Sendable {
        package var database: String?
        package var user: String?
        package var password: PostgresEndpoint.PasswordSource?
        /// Startup parameters: settings for the session (`application_name`, `options`, `search_path`).
        package var parameters: [StartupMessage.Parameter]

        package init(
            database: String? = nil, user: String? = nil, password: PostgresEndpoint.PasswordSource? = nil,
            parameters: [StartupMessage.Parameter] = []
        ) {
            self.database = database
            self.user = user
            self.password = password
            self.parameters = parameters
        }
    }

    /// A session on `eventLoop`, authenticated and idle. Fails with `BackendConnectError`.
    ///
    /// Add the owner's handler in the future's callback, on the loop: nothing reads before that.
    /// `timeout` spans everything, from the name's resolution to ReadyForQuery; nil: the endpoint's `connect_timeout`, else ten seconds.
    package static func connect(
        to endpoint: PostgresEndpoint, overrides: Overrides = Overrides(), on eventLoop: any EventLoop, timeout: TimeAmount? = nil,
        addresses: AddressPolicy = .any
    ) -> EventLoopFuture<EstablishedBackend> {
        let configuration: BackendHandshake.Configuration
        do throws(BackendConnectError) {
            configuration = try handshake(with: endpoint, overrides)
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
        if case .tcp(let host, _) = endpoint.address, let reason = addresses.refusal(ofHost: host) {
            return eventLoop.makeFailedFuture(BackendConnectError.addressRefused(reason))
        }
        let timeout = timeout ?? endpoint.connectTimeout ?? timeoutDefault
        return establish(configuration, endpoint: endpoint, on: eventLoop, timeout: timeout, addresses: addresses) { bootstrap in
            switch endpoint.address {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let directory, let port): bootstrap.connect(unixDomainSocketPath: "\(directory)/.s.PGSQL.\(port)")
            }
        }
    }

    /// A session over a socket that is connected already, without TLS. Owns `descriptor` from the call on.
    package static func connect(
        overConnectedSocket descriptor: CInt, user: String, overrides: Overrides = Overrides(), on eventLoop: any EventLoop,
        timeout: TimeAmount = timeoutDefault
    ) -> EventLoopFuture<EstablishedBackend> {
        // The address is a stand-in: it is neither resolved nor connected to.
        var endpoint = PostgresEndpoint(address: .unix(directory: "/", port: 0), user: user)
        endpoint.tlsMode = .disable
        do throws(BackendConnectError) {
            let configuration = try handshake(with: endpoint, overrides)
            return establish(configuration, endpoint: endpoint, on: eventLoop, timeout: timeout) { $0.withConnectedSocket(descriptor) }
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
    }

    /// The keys of passwords in use, by salt: each costs thousands of hashes, on the event loop.
    private static let scramKeys = BoundedCache<ScramKeyID, ScramKeys>(countMax: 256)

    private struct ScramKeyID: Hashable, Sendable {
        let password: String
        let salt: [UInt8]
        let iterations: Int
    }

    private static func handshake(with endpoint: PostgresEndpoint, _ overrides: Overrides) throws(BackendConnectError) -> BackendHandshake.Configuration {
        guard let user = overrides.user ?? endpoint.user else { throw .endpoint(EndpointError(.invalidValue, name: "user")) }
        var configuration = BackendHandshake.Configuration(user: user, nonce: SecureRandom.nonce())
        configuration.database = overrides.database ?? endpoint.database
        let password = overrides.password ?? endpoint.password
        configuration.refusesCleartext = password.isReference && !endpoint.sendsReferenceAsText
        do throws(EndpointError) {
            configuration.password = try password.resolve()
        } catch {
            throw .endpoint(error)
        }
        configuration.parameters = overrides.parameters
        if let name = endpoint.applicationName, !overrides.parameters.contains(where: { $0.name == "application_name" }) {
            configuration.parameters.append(.init(name: "application_name", value: name))
        }
        configuration.tls = tlsPolicy(for: endpoint)
        configuration.allowsCleartext = endpoint.tlsMode == .disable || endpoint.isLocal
        configuration.scramKeys = { password, salt, iterations in
            scramKeys.value(for: ScramKeyID(password: password, salt: salt, iterations: iterations)) {
                ScramKeys(password: password, salt: salt, iterations: iterations)
            }
        }
        return configuration
    }

    static func tlsPolicy(for endpoint: PostgresEndpoint) -> BackendHandshake.TLSPolicy {
        // As in libpq: no TLS over Unix sockets.
        guard case .tcp = endpoint.address else { return .none }
        switch endpoint.tlsMode {
        case .disable: return .none
        case .prefer: return .preferred
        case .require, .verifyCA, .verifyFull: return .required
        }
    }

    private static func establish(
        _ configuration: BackendHandshake.Configuration, endpoint: PostgresEndpoint, on eventLoop: any EventLoop, timeout: TimeAmount,
        addresses: AddressPolicy = .any, _ connect: @escaping @Sendable (ClientBootstrap) -> EventLoopFuture<any Channel>
    ) -> EventLoopFuture<EstablishedBackend> {
        let promise = eventLoop.makePromise(of: EstablishedBackend.self)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .channelOption(.autoRead, value: false)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if endpoint.isTCP {
                        try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                        try channel.syncOptions?.setOption(.socketOption(.so_keepalive), value: 1)
                    }
                    if addresses != .any { try channel.pipeline.syncOperations.addHandler(AddressGuard(addresses)) }
                    let handler = BackendHandshakeHandler(configuration, established: promise) { try BackendTLS.makeHandler(for: endpoint) }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        let connected = connect(bootstrap)
        connected.whenFailure { error in
            promise.fail(error as? BackendConnectError ?? Self.connectFailure(error, timeout))
        }
        let deadline = eventLoop.scheduleTask(in: timeout) {
            promise.fail(BackendConnectError.timedOut(timeout))
            connected.whenSuccess { $0.close(promise: nil) }
        }
        promise.futureResult.whenComplete { _ in deadline.cancel() }
        return promise.futureResult
    }

    static func connectFailure(_ error: any Error, _ timeout: TimeAmount) -> BackendConnectError {
        if case ChannelError.connectTimeout = error { return .timedOut(timeout) }
        // Of a name all addresses were tried, and each has its own reason.
        let causes = (error as? NIOConnectionError)?.connectionErrors.map(\.error) ?? [error]
        if let refused = causes.lazy.compactMap({ $0 as? AddressGuard.Refused }).first { return .addressRefused(refused.reason) }
        return .unreachable(error)
    }
}

extension PostgresEndpoint {
    var isTCP: Bool { if case .tcp = address { true } else { false } }

    /// The line does not leave this machine.
    var isLocal: Bool {
        guard case .tcp(let host, _) = address else { return true }
        return host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}
