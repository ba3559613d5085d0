package import Hummingbird
internal import HummingbirdCore
package import Logging
package import NIOCore

/// What callers may take of the server itself.
package struct RESTLimits: Sendable {
    /// Most connections at once; further ones wait to be accepted, so that callers of REST cannot use up the process's files.
    package var connectionsMax: Int
    /// How long a connection may be silent between requests, or in the middle of one.
    package var idleTimeout: Duration

    package init(connectionsMax: Int, idleTimeout: Duration) {
        self.connectionsMax = connectionsMax
        self.idleTimeout = idleTimeout
    }
}

/// Serves `responder` at an address until its task is cancelled or shut down gracefully.
///
/// - port: 0 takes a free one.
/// - isListening: is told the port once requests are taken.
package func restApplication(
    _ responder: RESTResponder, host: String, port: Int, limits: RESTLimits, group: any EventLoopGroup, logger: Logger,
    isListening: @escaping @Sendable (_ port: Int) async -> Void
) -> Application<RESTResponder> {
    Application(
        responder: responder, server: .http1(configuration: .init(idleTimeout: TimeAmount(limits.idleTimeout))),
        configuration: .init(
            address: .hostname(host, port: port), serverName: nil,
            availableConnectionsDelegate: MaximumAvailableConnections(limits.connectionsMax, logger: logger)),
        onServerRunning: { channel in await isListening(channel.localAddress?.port ?? port) }, eventLoopGroupProvider: .shared(group),
        logger: logger)
}
