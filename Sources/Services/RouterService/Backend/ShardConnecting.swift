internal import NIOCore
internal import PGChannel
internal import PGWire

/// The way to the shards' servers: sockets, but for tests that are the servers themselves.
protocol ShardConnecting: Sendable {
    /// As `BackendConnector.connect`.
    func connect(
        to endpoint: PostgresEndpoint, overrides: BackendConnector.Overrides, on eventLoop: any EventLoop, timeout: TimeAmount
    ) -> EventLoopFuture<EstablishedBackend>

    /// As `BackendConnector.sendCancel`.
    func sendCancel(to endpoint: PostgresEndpoint, _ request: CancelRequest, on eventLoop: any EventLoop) -> EventLoopFuture<Void>
}

struct SocketConnector: ShardConnecting {
    func connect(
        to endpoint: PostgresEndpoint, overrides: BackendConnector.Overrides, on eventLoop: any EventLoop, timeout: TimeAmount
    ) -> EventLoopFuture<EstablishedBackend> {
        BackendConnector.connect(to: endpoint, overrides: overrides, on: eventLoop, timeout: timeout)
    }

    func sendCancel(to endpoint: PostgresEndpoint, _ request: CancelRequest, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        BackendConnector.sendCancel(to: endpoint, request, on: eventLoop)
    }
}
