internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Listening
package import Logging
package import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

/// What callers may take of the server itself.
package struct RESTLimits: Sendable {
    /// Most connections at once; further ones wait to be accepted, so that callers of REST cannot use up the process's files. As many streams of
    /// HTTP/2, over all connections, are answered at a time.
    package var connectionsMax: Int
    /// How long a connection may be silent between requests, or in the middle of one, and how long a caller may take nothing of a stream.
    package var idleTimeout: Duration
    /// Requests are handled on the event loops of their connections, where handlers must not take long: see `RESTRequest.offLoop`.
    package var runsOnLoops: Bool

    package init(connectionsMax: Int, idleTimeout: Duration, runsOnLoops: Bool = false) {
        self.connectionsMax = connectionsMax
        self.idleTimeout = idleTimeout
        self.runsOnLoops = runsOnLoops
    }
}

/// Serves a responder at an address until its task is cancelled or shut down gracefully: then it takes no new connection, answers the requests
/// under way, and ends.
///
/// Hummingbird's own server does not let its listening socket be prepared, and closes it without regard for what lies in its queue; what comes
/// behind the listening socket is Hummingbird's.
package struct RESTApplication: Service {
    private let responder: RESTResponder
    private let host: String
    private let port: Int
    private let sharesPort: Bool
    private let limits: RESTLimits
    private let certificates: RESTCertificates
    private let group: any EventLoopGroup
    private let logger: Logger
    private let isListening: @Sendable (_ port: Int) async -> Void

    /// - port: 0 takes a free one.
    /// - sharesPort: a successor of the same user may listen at the same port.
    /// - certificates: with one, connections are secured, and may be of HTTP/2.
    /// - isListening: is told the port once requests are taken.
    package init(
        _ responder: RESTResponder, host: String, port: Int, sharesPort: Bool = false, limits: RESTLimits, certificates: RESTCertificates = RESTCertificates(),
        group: any EventLoopGroup, logger: Logger, isListening: @escaping @Sendable (_ port: Int) async -> Void
    ) {
        self.responder = responder
        self.host = host
        self.port = port
        self.sharesPort = sharesPort
        self.limits = limits
        self.certificates = certificates
        self.group = group
        self.logger = logger
        self.isListening = isListening
    }

    package func run() async throws {
        let connections = OpenConnections(limits)
        // Not cancelled at once: it would let go of streams of HTTP/2 that have arrived and nobody serves yet, and NIO ends a process that does so
        // (`NIOAsyncWriter`). It ends when all that it reads from is closed; what works on then has nobody to answer.
        let work = Task { try await serve(connections) }
        try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            connections.close()
            Task {
                try? await Task.sleep(for: .seconds(1))
                work.cancel()
            }
        }
    }

    private func serve(_ connections: OpenConnections) async throws {
        let setup = connectionSetup(connections)
        // NIO's own stream of accepted connections lets go of those that are set up while the listener closes.
        let (accepted, source) = AsyncStream.makeStream(of: ConnectionSetup.Connection.self)
        let listener = try await Listening.bootstrap(group, sharesPort: sharesPort)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .serverChannelInitializer { [limits, logger] channel in
                channel.eventLoop.makeCompletedFuture {
                    let bound = AvailableConnectionsChannelHandler(delegate: MaximumAvailableConnections(limits.connectionsMax, logger: logger))
                    try channel.pipeline.syncOperations.addHandler(bound)
                }
            }
            .childChannelInitializer { channel in
                setup.setUp(channel).map { connection in
                    if case .terminated = source.yield(connection) { channel.close(promise: nil) }
                }
            }
            .bind(host: host, port: port).get()
        connections.listens(listener)
        listener.closeFuture.whenComplete { [group] _ in
            // What was accepted before is being set up on the other event loops.
            let turns = group.makeIterator().map { loop in loop.submit {} }
            EventLoopFuture.andAllComplete(turns, on: listener.eventLoop).whenComplete { _ in source.finish() }
        }
        await withGracefulShutdownHandler {
            await isListening(listener.localAddress?.port ?? port)
            await withDiscardingTaskGroup { tasks in
                for await connection in accepted { tasks.addTask { await setup.serve(connection) } }
            }
        } onGracefulShutdown: { [sharesPort] in
            Task {
                await Listening.retire(listener, sharesPort: sharesPort)
                connections.quiesce()
            }
        }
    }

    private func connectionSetup(_ connections: OpenConnections) -> ConnectionSetup {
        ConnectionSetup(connections, certificates, limits, logger: logger) { [responder, logger] request, writer, channel in
            let context = BasicRequestContext(source: .init(channel: channel, logger: logger))
            var response: Response
            do {
                response = try await CallerWatch.$current.withValue(connections.watch(channel)) {
                    try await responder.respond(to: request, context: context)
                }
            } catch {
                logger.debug("A request failed", metadata: ["error": "\(error)"])
                response = Response(status: .internalServerError, body: .init())
            }
            response.headers[.date] = HTTPDate.now()
            try await writer.write(response: response.head, body: response.body)
        }
    }
}

/// The value of a Date header (RFC 9110, section 5.6.7), made once a second.
private enum HTTPDate {
    private static let last = Mutex<(second: Int, text: String)>((0, ""))

    static func now() -> String {
        let second = Int(Date().timeIntervalSince1970)
        return last.withLock { last in
            if last.second != second { last = (second, text(of: second)) }
            return last.text
        }
    }

    private static func text(of second: Int) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(secondsFromGMT: 0)
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return formatter.string(from: Date(timeIntervalSince1970: Double(second)))
    }
}

extension RESTApplication: CustomStringConvertible, CustomReflectable {
    /// At `debug` the lifecycle's log has each service as text: by reflection that would be all that the handlers hold.
    package var description: String { "REST at \(host):\(port)" }
    package var customMirror: Mirror { Mirror(self, children: ["address": "\(host):\(port)"]) }
}
