#if DEBUG
internal import NIOCore
internal import NIOEmbedded
@testable internal import PGChannel
internal import PGWire
@testable internal import RouterService
internal import WireFuzzing

/// The router's connections to its shards, in memory: each is a channel on the router's loop with a `HostileShard` behind it.
final class EmbeddedShards {
    /// One connection.
    final class Link {
        let number: Int
        let channel: EmbeddedChannel
        var shard: HostileShard
        fileprivate var isEstablished = false

        fileprivate init(_ number: Int, _ channel: EmbeddedChannel, _ shard: HostileShard) {
            self.number = number
            self.channel = channel
            self.shard = shard
        }

        /// Who connected reads, and there is something to read.
        var canDeliver: Bool { channel.isActive && (shard.outgoing.readableBytes > 0 || shard.hasHungUp) && reads }

        private var reads: Bool {
            guard isEstablished else { return true }
            return channel.options.last { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool ?? true
        }
    }

    var areHostile: Bool { didSet { for link in links { link.shard.isHostile = areHostile } } }
    private(set) var links: [Link] = []
    private(set) var spoiled = 0
    /// A replica among them was.
    private(set) var wereAskedToWrite = false
    private var linkCount = 0
    private let transcript: Transcript
    private let loop: EmbeddedEventLoop
    private var random: SplitMix64

    init(loop: EmbeddedEventLoop, seed: UInt64, areHostile: Bool, _ transcript: Transcript) {
        self.transcript = transcript
        self.loop = loop
        self.areHostile = areHostile
        random = SplitMix64(state: seed)
    }

    private func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    // MARK: The router's side

    fileprivate func connect(_ endpoint: PostgresEndpoint, _ overrides: BackendConnector.Overrides, _ timeout: TimeAmount) -> EventLoopFuture<EstablishedBackend> {
        if areHostile, oneIn(30) { return loop.makeFailedFuture(BackendConnectError.unreachable(ChannelError.ioOnClosedChannel)) }
        var configuration = BackendHandshake.Configuration(user: "app", nonce: "rOprNGfwEbeRWgbNEkqO")
        configuration.database = "shop"
        configuration.password = "pencil"
        configuration.allowsCleartext = true
        configuration.parameters = overrides.parameters
        // However much work the server asks for: it has its bound, and this is another's test.
        configuration.scramKeys = { password, salt, _ in ScramKeys(password: password, salt: salt, iterations: 1) }
        let promise = loop.makePromise(of: EstablishedBackend.self)
        let channel = EmbeddedChannel(
            handler: BackendHandshakeHandler(configuration, established: promise) { throw ChannelError.operationUnsupported }, loop: loop)
        channel.setOption(.autoRead, value: false).assumeIsolated().whenComplete { _ in }
        linkCount += 1
        var isReplica = false
        if case .tcp(_, port: WorldCatalog.replicaPort) = endpoint.address { isReplica = true }
        let link = Link(linkCount, channel, HostileShard(seed: random.next(), isHostile: areHostile, isReplica: isReplica))
        links.append(link)
        let deadline = loop.assumeIsolated().scheduleTask(in: timeout) {
            promise.fail(BackendConnectError.timedOut(timeout))
            channel.close(promise: nil)
        }
        promise.futureResult.assumeIsolated().whenComplete { result in
            deadline.cancel()
            if case .success = result { link.isEstablished = true }
        }
        channel.connect(to: RouterWorld.address, promise: nil)
        return promise.futureResult
    }

    fileprivate func cancel() -> EventLoopFuture<Void> {
        guard areHostile, oneIn(4) else { return loop.makeSucceededVoidFuture() }
        return loop.makeFailedFuture(BackendConnectError.closed)
    }

    // MARK: The network's side

    /// What the router has written reaches the servers.
    func collect() {
        for link in links {
            while let bytes = try? link.channel.readOutbound(as: ByteBuffer.self) {
                transcript.note("    shard connection \(link.number) gets", bytes)
                link.shard.receive(bytes)
            }
        }
        wereAskedToWrite = wereAskedToWrite || links.contains { $0.shard.wasAskedToWrite }
        spoiled += links.reduce(0) { $0 + ($1.channel.isActive ? 0 : $1.shard.spoiled) }
        links.removeAll { !$0.channel.isActive }
    }

    /// Some of what a server has sent reaches the router.
    func deliver(_ link: Link, piece: Int) {
        guard let bytes = link.shard.outgoing.readSlice(length: min(piece, link.shard.outgoing.readableBytes)), bytes.readableBytes > 0 else {
            if link.shard.hasHungUp { hangUp(link) }
            return
        }
        link.shard.outgoing.discardReadBytes()
        transcript.note("    shard connection \(link.number) says", bytes)
        // In storage of its own, as a socket's bytes are.
        _ = try? link.channel.writeInbound(ByteBuffer(bytes: bytes.readableBytesView))
    }

    func hangUp(_ link: Link) {
        transcript.note("    shard connection \(link.number) hangs up")
        if oneIn(3) { link.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read")) }
        link.channel.close(promise: nil)
    }
}

/// Gives the router these connections. They belong to its loop.
struct EmbeddedConnector: ShardConnecting {
    let shards: NIOLoopBound<EmbeddedShards>

    func connect(
        to endpoint: PostgresEndpoint, overrides: BackendConnector.Overrides, on eventLoop: any EventLoop, timeout: TimeAmount
    ) -> EventLoopFuture<EstablishedBackend> {
        shards.value.connect(endpoint, overrides, timeout)
    }

    func sendCancel(to endpoint: PostgresEndpoint, _ request: CancelRequest, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        shards.value.cancel()
    }
}
#endif
