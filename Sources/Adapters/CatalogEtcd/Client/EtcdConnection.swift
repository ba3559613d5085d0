internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A connection to one endpoint, and the login on it.
final class EtcdConnection: Sendable {
    /// The largest answer that is read, in bytes.
    static let answerMax = 32 << 20

    let endpoint: EtcdLocation.Endpoint
    let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let location: EtcdLocation
    private let running: Task<Void, Never>
    private let lines: Lines
    private let login = Mutex<Task<String, any Error>?>(nil)

    /// The TCP connections that gRPC has made for us, so that a stalled one can be closed without waiting for it.
    private final class Lines: Sendable {
        private let state = Mutex((isClosed: false, channels: [any Channel]()))

        func add(_ channel: any Channel) {
            let isClosed = state.withLock { state in
                if !state.isClosed {
                    state.channels.removeAll { !$0.isActive }
                    state.channels.append(channel)
                }
                return state.isClosed
            }
            if isClosed { channel.close(promise: nil) }
        }

        func close() {
            let channels = state.withLock { state in
                state.isClosed = true
                defer { state.channels = [] }
                return state.channels
            }
            for channel in channels { channel.close(promise: nil) }
        }
    }

    /// Makes no attempt to connect yet.
    init(to endpoint: EtcdLocation.Endpoint, _ location: EtcdLocation, on group: MultiThreadedEventLoopGroup) throws {
        self.endpoint = endpoint
        self.location = location
        let lines = Lines()
        self.lines = lines
        let config = HTTP2ClientTransport.Posix.Config.defaults { config in
            // Finds a line that is dead under a watch that has nothing to say. Ten seconds is the least that servers put up with.
            config.connection.keepalive = .init(time: .seconds(10), timeout: .seconds(5), allowWithoutCalls: false)
            config.backoff = .init(initial: .milliseconds(100), max: .seconds(1), multiplier: 2, jitter: 0.2)
            config.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
                lines.add(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
        }
        let transport = try HTTP2ClientTransport.Posix(
            target: Self.target(endpoint), transportSecurity: try Self.security(location.tls), config: config, eventLoopGroup: group)
        let client = GRPCClient(transport: transport)
        self.client = client
        running = Task { try? await client.runConnections() }
    }

    deinit { close() }

    /// Requests under way fail.
    func close() {
        client.beginGracefulShutdown()
        running.cancel()
        lines.close()
    }

    private static func target(_ endpoint: EtcdLocation.Endpoint) -> any ResolvableTarget {
        let (host, port) = (endpoint.host, endpoint.port)
        switch try? NIOCore.SocketAddress(ipAddress: host, port: port) {
        case .v4: return .ipv4(address: host, port: port)
        case .v6: return .ipv6(address: host, port: port)
        default: return .dns(host: host, port: port)
        }
    }

    private static func security(_ tls: EtcdLocation.TLS?) throws -> HTTP2ClientTransport.Posix.TransportSecurity {
        guard let tls else { return .plaintext }
        // Read here, so that an error says which file it is.
        func pem(_ path: String) throws -> [UInt8] {
            guard let data = FileManager.default.contents(atPath: path) else { throw EtcdLocationError(.unreadableFile, name: path) }
            return Array(data)
        }
        let authorities = try tls.authorities.map { try pem($0) }
        let own: (certificate: [UInt8], key: [UInt8])? =
            if let certificate = tls.certificate, let key = tls.key { (try pem(certificate), try pem(key)) } else { nil }
        return .tls { config in
            // The host's name, or its address, must be in the certificate: the default, said here because everything depends on it.
            config.serverCertificateVerification = .fullVerification
            if let authorities { config.trustRoots = .certificates([.bytes(authorities, format: .pem)]) }
            if let own {
                config.certificateChain = [.bytes(own.certificate, format: .pem)]
                config.privateKey = .bytes(own.key, format: .pem)
            }
        }
    }

    // MARK: login

    /// What goes with each request: the token of the login, where a user is given.
    func metadata(within limit: Duration) async throws -> Metadata {
        guard let user = location.user, let password = location.password else { return [:] }
        // One login for all who wait: the server spends a tenth of a second of CPU on each.
        let task = login.withLock { login in
            if let login { return login }
            let client = client
            let new = Task<String, any Error> {
                var request = Etcdserverpb_AuthenticateRequest()
                request.name = user
                request.password = try password.resolve()
                var options = CallOptions.defaults
                options.timeout = limit
                options.waitForReady = false
                return try await Etcdserverpb_Auth.Client(wrapping: client).authenticate(request: .init(message: request), options: options).token
            }
            login = new
            return new
        }
        do {
            let token = try await task.value
            return ["token": .string(token)]
        } catch {
            forget(task)
            // Nothing but the login was sent.
            throw EtcdFailure(EtcdFailure(error).cause, didNotRun: true)
        }
    }

    /// The next request logs in anew, unless another has done so since `metadata` was used.
    func forgetToken(of metadata: Metadata) async {
        guard let task = login.withLock({ $0 }), let token = try? await task.value, metadata[stringValues: "token"].contains(token) else { return }
        forget(task)
    }

    private func forget(_ task: Task<String, any Error>) { login.withLock { if $0 == task { $0 = nil } } }
}
