package import NIOCore
internal import NIOPosix
package import NIOSSL
package import PGWire
internal import Synchronization

/// A PostgreSQL server made of a script, on a loopback port, for tests of what a real one does too rarely: stalls, cuts, garbage, wrong proofs.
package final class PGTestServer: Sendable {
    package enum Authentication: Hashable, Sendable {
        case trust
        case cleartext(password: String)
        case md5(password: String)
        case scram(password: String)
        /// SCRAM, then AuthenticationOk without the server's proof.
        case scramWithoutProof(password: String)
        /// SCRAM with a false signature of the server.
        case scramWithFalseProof(password: String)
        /// SCRAM asking for this many iterations.
        case scramIterations(Int)
        case unsupported(code: Int32)
    }

    /// Faults of the line itself, counted in bytes the server has sent on a connection.
    package struct Faults: Hashable, Sendable {
        /// The connection is closed when so many bytes are out.
        package var cutAfterBytes: Int?
        /// Nothing is sent any more after so many bytes.
        package var stallAfterBytes: Int?
        /// Every byte goes in a write of its own.
        package var isDribbling = false

        package init() {}
    }

    package struct Configuration: Sendable {
        package var authentication = Authentication.trust
        /// Offers SCRAM-SHA-256-PLUS too, which this server cannot do: for clients that choose among mechanisms. libpq refuses it without TLS.
        package var offersChannelBinding = false
        package var parameters: [StartupMessage.Parameter] = [
            .init(name: "server_version", value: "15.0"), .init(name: "client_encoding", value: "UTF8"),
            .init(name: "standard_conforming_strings", value: "on"), .init(name: "TimeZone", value: "Etc/UTC"),
        ]
        /// Answers SSLRequest with 'S' and speaks TLS.
        package var tls: NIOSSLContext?
        /// Written right behind the 'S' for SSLRequest.
        package var bytesBehindTLSAnswer: [UInt8] = []
        /// Written instead of any answer to the startup packet.
        package var greeting: ByteBuffer?
        /// Written right behind the first ReadyForQuery, in the same write.
        package var bytesBehindReady = ByteBuffer()
        package var faults = Faults()
        /// The answer to a statement, by its text. Called on event loops.
        package var answer: @Sendable (String) -> PGTestAnswer = { _ in .command("SELECT 0") }

        package init() {}
    }

    /// What clients sent, in order, over all connections.
    package enum Event: Hashable, Sendable {
        case startup(StartupMessage)
        case cancel(CancelRequest)
        case query(String)
        case parse(name: String, query: String)
        case bind(portal: String, statement: String, parameters: [ByteBuffer?])
        case describe(TargetMessage.Target, name: String)
        case execute(portal: String, rowsMax: Int32)
        case close(TargetMessage.Target, name: String)
        case sync
        case flush
        case copyData(ByteBuffer)
        case copyDone
        case copyFail(String)
        case terminate
        case closed
    }

    package let configuration: Configuration
    private let group: any EventLoopGroup
    private let state = Mutex(State())

    private struct State {
        var listener: (any Channel)?
        var children: [ObjectIdentifier: any Channel] = [:]
        var events: [Event] = []
        var sessions: [Int32: (secret: Int32, cancel: @Sendable () -> Void)] = [:]
        var nextProcessID: Int32 = 1
    }

    private init(_ configuration: Configuration, on group: any EventLoopGroup) {
        self.configuration = configuration
        self.group = group
    }

    /// Listens on a free port of 127.0.0.1.
    package static func start(_ configuration: Configuration = Configuration(), on group: any EventLoopGroup) async throws -> PGTestServer {
        let server = PGTestServer(configuration, on: group)
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { server.adopt($0) }
            .bind(host: "127.0.0.1", port: 0).get()
        server.state.withLock { $0.listener = listener }
        return server
    }

    /// Serves one connection over a connected socket (one end of a socketpair), which it owns from now on.
    package static func serve(
        _ configuration: Configuration = Configuration(), descriptor: CInt, on group: any EventLoopGroup
    ) async throws -> PGTestServer {
        let server = PGTestServer(configuration, on: group)
        _ = try await ClientBootstrap(group: group).channelInitializer { server.adopt($0) }.withConnectedSocket(descriptor).get()
        return server
    }

    private func adopt(_ channel: any Channel) -> EventLoopFuture<Void> {
        let id = ObjectIdentifier(channel)
        state.withLock { $0.children[id] = channel }
        channel.closeFuture.whenComplete { _ in
            self.record(.closed)
            self.state.withLock { $0.children[id] = nil }
        }
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(PGTestFaults(configuration.faults))
            try channel.pipeline.syncOperations.addHandler(PGTestSession(self))
        }
    }

    /// 0 for a server on a socketpair.
    package var port: Int { state.withLock { $0.listener?.localAddress?.port } ?? 0 }
    package var events: [Event] { state.withLock { $0.events } }
    package var queries: [String] {
        events.compactMap {
            switch $0 {
            case .query(let text), .parse(_, let text): text
            default: nil
            }
        }
    }
    package var connectionCount: Int { state.withLock { $0.children.count } }

    /// Stops listening and closes every connection.
    package func stop() async {
        let (listener, children) = state.withLock { state in (state.listener, Array(state.children.values)) }
        try? await listener?.close().get()
        for child in children { try? await child.close().get() }
    }

    /// Closes the connections; goes on listening.
    package func closeConnections() async {
        for child in state.withLock({ Array($0.children.values) }) { try? await child.close().get() }
    }

    func record(_ event: Event) { state.withLock { $0.events.append(event) } }

    func register(cancel: @escaping @Sendable () -> Void) -> CancelRequest {
        let secret = Int32.random(in: .min ... .max)
        return state.withLock { state in
            let processID = state.nextProcessID
            state.nextProcessID += 1
            state.sessions[processID] = (secret, cancel)
            return CancelRequest(processID: processID, secret: secret)
        }
    }

    /// As if the request had come over a connection of its own.
    package func cancel(_ request: CancelRequest) {
        record(.cancel(request))
        let session = state.withLock { $0.sessions[request.processID] }
        if let session, session.secret == request.secret { session.cancel() }
    }
}
