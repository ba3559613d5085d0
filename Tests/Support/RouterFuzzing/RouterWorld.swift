#if DEBUG
internal import CatalogStore
internal import CommitCore
internal import Logging
internal import NIOCore
internal import NIOEmbedded
internal import PGWire
internal import PoolCore
internal import RoutePlanning
@testable internal import RouterService
internal import ServerConfig
internal import ShardModel
internal import WireFuzzing

/// One event loop of a router in memory, between clients and shards of which some are hostile. Nothing is outside the seed: the order in which pieces
/// of messages arrive, time, and what breaks are drawn from it.
final class RouterWorld {
    static let address: SocketAddress = {
        do { return try SocketAddress(ipAddress: "127.0.0.1", port: 5432) } catch { preconditionFailure("an address is one: \(error)") }
    }()
    /// What peers spoil.
    static let seeds = WireSeeds.messages()
    private static let clientsMax = 4
    private static let stepsOfWorld = 400
    /// Longer than a unit may wait: for a connection to each of the shards, that is, while others keep theirs in open transactions.
    private static let patience = TimeAmount.seconds(300)

    private final class Client {
        let channel: EmbeddedChannel
        var peer: HostileClient

        init(_ channel: EmbeddedChannel, _ peer: HostileClient) {
            self.channel = channel
            self.peer = peer
        }

        var name: String { peer.isHostile ? "\(peer.key) (hostile)" : peer.key }

        var isRead: Bool {
            channel.isActive && channel.options.last { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool ?? true
        }
    }

    /// What was fed, and how much of it was not what the protocol allows.
    struct Count {
        var fromClients = 0
        var fromShards = 0
        var spoiled = 0
        var clients = 0
        /// Pipelines that several shards worked for at the same time, whatever became of them.
        var scattered = 0
    }

    private(set) var count = Count()
    private let transcript: Transcript
    private let loop = EmbeddedEventLoop()
    private let shards: EmbeddedShards
    private var router: RouterLoop?
    private var random: SplitMix64
    private var clients: [Client] = []
    /// The shards answer as PostgreSQL does, so that answers can be judged.
    private let shardsAreHonest: Bool
    /// The control plane changes nothing.
    private let isSteady: Bool
    private let authenticates: Bool
    private var settings: RouterSettings
    private var catalog: WorldCatalog

    /// - tell: told what everybody says.
    init(seed: UInt64, tell: ((String) -> Void)? = nil) throws {
        transcript = Transcript(tell: tell)
        random = SplitMix64(state: seed)
        shardsAreHonest = Int.random(in: 0..<3, using: &random) == 0
        shards = EmbeddedShards(loop: loop, seed: random.next(), areHostile: !shardsAreHonest, transcript)
        loop.advanceTime(by: .seconds(1000))
        isSteady = Int.random(in: 0..<2, using: &random) == 0
        authenticates = Int.random(in: 0..<3, using: &random) == 0
        settings = Self.settings(authenticates: authenticates, &random)
        catalog = WorldCatalog(hasReplicas: Int.random(in: 0..<3, using: &random) == 0)
        catalog.addUser()
        router = try makeRouter()
    }

    private func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    // MARK: A run

    func run() throws(WireFuzzer.Finding) {
        for _ in 0..<Self.stepsOfWorld { try step() }
        try settleHonestClients()
        try requireNothingLeft()
        try requireService()
        try requireGoodbyes()
        try end()
    }

    private func step() throws(WireFuzzer.Finding) {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<6: if clients.count < Self.clientsMax { join(isHostile: !oneIn(4)) }
        case 6..<20: if let client = clients.randomElement(using: &random), client.peer.outgoing.readableBytes == 0 { client.peer.burst() }
        case 20..<50: if let client = clients.randomElement(using: &random) { deliver(client) }
        case 50..<88: if let link = shards.links.filter(\.canDeliver).randomElement(using: &random) { deliver(link) }
        case 88: if let client = hostileClient() { leave(client) }
        case 89: if let link = shards.links.randomElement(using: &random), shards.areHostile { shards.hangUp(link) }
        case 90..<92:
            guard shards.areHostile, let index = shards.links.indices.randomElement(using: &random) else { break }
            shards.links[index].shard.interrupt()
        case 92: cancel()
        case 93: if let client = hostileClient() { client.channel.isWritable.toggle(); client.channel.pipeline.fireChannelWritabilityChanged() }
        case 94: if !isSteady { control() }
        case 95: advance(.milliseconds(Int64.random(in: 100...3000, using: &random)))
        default: advance(.milliseconds(Int64.random(in: 0...20, using: &random)))
        }
        try exchange()
    }

    private func hostileClient() -> Client? { clients.filter(\.peer.isHostile).randomElement(using: &random) }

    private func advance(_ time: TimeAmount) { loop.advanceTime(by: time) }

    /// What was written reaches the other side's ears.
    private func exchange() throws(WireFuzzer.Finding) {
        loop.run()
        shards.collect()
        if shards.wereAskedToWrite { throw WireFuzzer.Finding(what: "a replica was asked to write") }
        for client in clients { try hear(client) }
        for client in clients where !client.channel.isActive { count.spoiled += client.peer.spoiled }
        clients.removeAll { !$0.channel.isActive }
    }

    private func hear(_ client: Client) throws(WireFuzzer.Finding) {
        var strangers: Set<String>?
        if shardsAreHonest { strangers = Set(clients.lazy.filter { $0 !== client }.map(\.peer.key)) }
        while let bytes = try? client.channel.readOutbound(as: ByteBuffer.self) {
            transcript.note("client \(client.name) gets", bytes)
            try client.peer.receive(bytes, strangers: strangers)
        }
    }

    // MARK: Clients

    private func join(isHostile: Bool) {
        guard let router else { return }
        count.clients += 1
        let channel = EmbeddedChannel(handler: LoginHandler(loop: router, isInternal: false), loop: loop)
        clients.append(Client(channel, HostileClient(seed: random.next(), isHostile: isHostile, authenticates: authenticates)))
        channel.connect(to: Self.address, promise: nil)
    }

    private func deliver(_ client: Client) {
        guard client.isRead else { return }
        let all = client.peer.outgoing.readableBytes
        guard all > 0, let bytes = client.peer.outgoing.readSlice(length: oneIn(3) ? Int.random(in: 1...all, using: &random) : all) else { return }
        client.peer.outgoing.discardReadBytes()
        count.fromClients += 1
        client.peer.deliver(bytes)
        transcript.note("client \(client.name) says", bytes)
        // In storage of its own, as a socket's bytes are: what reaches beyond them is found.
        _ = try? client.channel.writeInbound(ByteBuffer(bytes: bytes.readableBytesView))
    }

    private func leave(_ client: Client) {
        transcript.note("client \(client.name) leaves")
        if oneIn(2) {
            var bye = ByteBuffer()
            bye.writeTerminate()
            // It may complete a message that was cut off.
            client.peer.deliver(bye)
            _ = try? client.channel.writeInbound(bye)
        }
        if oneIn(4) { client.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read")) }
        client.channel.close(promise: nil)
    }

    /// Over a connection of its own, as the protocol has it.
    private func cancel() {
        guard let router, let key = clients.randomElement(using: &random)?.peer.cancelKey else { return }
        let channel = EmbeddedChannel(handler: LoginHandler(loop: router, isInternal: false), loop: loop)
        channel.connect(to: Self.address, promise: nil)
        var bytes = ByteBuffer()
        bytes.writeCancelRequest(oneIn(4) ? CancelRequest(processID: key.processID, secret: key.secret &+ 1) : key)
        count.fromClients += 1
        _ = try? channel.writeInbound(bytes)
        loop.run()
        channel.close(promise: nil)
    }

    private func deliver(_ link: EmbeddedShards.Link) {
        count.fromShards += 1
        shards.deliver(link, piece: oneIn(3) ? Int.random(in: 1...max(1, link.shard.outgoing.readableBytes), using: &random) : .max)
    }

    // MARK: The control plane

    /// What it, the replicas' monitor or somebody on the console does.
    private func control() {
        guard let router else { return }
        let database = router.databases["shop"]
        let replica = database?.allPools.filter { $0.replica != nil }.randomElement(using: &random)
        switch Int.random(in: 0..<13, using: &random) {
        case 10..<13:
            catalog.holdOrRelease(&random)
            transcript.note(catalog.snapshot.holds.isEmpty ? "the hold goes" : "vnodes are held")
            router.install(catalog.snapshot)
        case 0..<3: replica?.replica?.publish(oneIn(4) ? nil : router.now)
        case 3: replica?.abandon()
        case 4:
            transcript.note("the catalog changes")
            catalog.change(&random)
            router.install(catalog.snapshot)
            for pool in database?.allPools ?? [] { pool.replica?.expectedSystem = HostileShard.system }
        case 5:
            transcript.note("the schema is read anew")
            router.install(catalog.readSchema(), for: "shop")
        case 6:
            if oneIn(4) { drop() } else { database?.reconnect() }
        case 7: if database?.isPaused == true { database?.resume() } else { database?.pause() }
        default:
            settings.poolWaitersMax = Int.random(in: 1...4, using: &random)
            settings.preparedStatementsMax = Int.random(in: 1...5, using: &random)
            settings.poolHealthCheckAfter = .seconds(Int.random(in: 0...30, using: &random))
            settings.poolLifetimeMax = .seconds(Int.random(in: 0...100, using: &random))
            router.reconfigure(settings, router.admission)
        }
    }

    private func release() {
        catalog.release()
        router?.install(catalog.snapshot)
    }

    /// For a moment: its sessions end.
    private func drop() {
        transcript.note("the database is dropped")
        var dropped: DatabaseRecord?
        for _ in 0..<2 {
            catalog.dropOrRestore(&dropped)
            router?.install(catalog.snapshot)
            router?.install(catalog.readSchema(), for: "shop")
        }
    }

    // MARK: The end

    /// Everything that is under way arrives, until nothing moves any more or `rounds` are over.
    private func flow(rounds: Int) throws(WireFuzzer.Finding) {
        for _ in 0..<rounds {
            for client in clients { deliver(client) }
            for link in shards.links where link.canDeliver { deliver(link) }
            advance(.milliseconds(20))
            try exchange()
        }
    }

    /// Honest clients are answered, each unit once, whatever the others did. Who waits for what a hostile shard never says waits rightly, but only
    /// until that is gone.
    private func settleHonestClients() throws(WireFuzzer.Finding) {
        for client in clients where client.peer.isHostile { leave(client) }
        router?.databases["shop"]?.resume()
        // Else their statements wait until nobody is believed to lead the job any more.
        if oneIn(2) { release() }
        if !shardsAreHonest {
            shards.areHostile = false
            for link in shards.links { shards.hangUp(link) }
        }
        var waiting = Int.max
        var since = loop.now
        while true {
            try flow(rounds: 20)
            advance(.seconds(1))
            let unsent = clients.count { $0.peer.outgoing.readableBytes > 0 }
            let left = clients.reduce(unsent) { $0 + $1.peer.unanswered }
            if left == 0 { return }
            if left < waiting { (waiting, since) = (left, loop.now) }
            if loop.now - since > Self.patience { throw WireFuzzer.Finding(what: "\(left) units of honest clients wait for ever") }
        }
    }

    private func requireNothingLeft() throws(WireFuzzer.Finding) {
        guard let router else { return }
        for client in clients { leave(client) }
        release()
        shards.areHostile = false
        var left = ""
        for _ in 0..<30 {
            try flow(rounds: 20)
            advance(.seconds(30))
            try exchange()
            left = Self.left(router)
            if left.isEmpty { return }
        }
        throw WireFuzzer.Finding(what: "left when every client has gone: \(left)")
    }

    private static func left(_ router: RouterLoop) -> String {
        var left: [String] = []
        if !router.sessions.isEmpty { left.append("\(router.sessions.count) sessions") }
        if router.logins > 0 { left.append("\(router.logins) logins") }
        if router.pendingLogins.count > 0 { left.append("\(router.pendingLogins.count) pending logins") }
        for pool in router.databases.values.flatMap(\.allPools) {
            let statistics = pool.statistics
            if statistics.connecting > 0 { left.append("\(statistics.connecting) attempts to connect to \(pool.shardID)") }
            if statistics.busy > 0 { left.append("\(statistics.busy) busy backends of \(pool.shardID): \(pool.serverRows(0))") }
            if statistics.waiting > 0 { left.append("\(statistics.waiting) requests for a backend of \(pool.shardID)") }
            if statistics.ignoredEvents > 0 { left.append("\(statistics.ignoredEvents) events that make no sense to the pool of \(pool.shardID)") }
        }
        return left.joined(separator: ", ")
    }

    /// The router serves a client that comes after all that.
    private func requireService() throws(WireFuzzer.Finding) {
        for _ in 0..<10 {
            join(isHostile: false)
            guard let client = clients.last else { return }
            for _ in 0..<20 where client.channel.isActive && !client.peer.isLoggedIn { try flow(rounds: 10) }
            client.peer.ask()
            for _ in 0..<20 where client.channel.isActive && client.peer.ownRows == 0 { try flow(rounds: 10) }
            let isServed = client.peer.ownRows > 0
            leave(client)
            try exchange()
            if isServed { return }
            advance(.seconds(30))
        }
        throw WireFuzzer.Finding(what: "the router does not serve any more")
    }

    /// Every session ends with its router, whatever it is doing.
    private func requireGoodbyes() throws(WireFuzzer.Finding) {
        guard let router, oneIn(2) else { return }
        shards.areHostile = !shardsAreHonest
        for _ in 0..<Self.clientsMax { join(isHostile: oneIn(2)) }
        try flow(rounds: 10)
        for client in clients { client.peer.burst() }
        for _ in 0..<20 { try step() }
        transcript.note("the router drains")
        router.drain()
        try flow(rounds: 50)
        transcript.note("the router cuts off")
        router.cutOff()
        shards.areHostile = false
        for link in shards.links where !shardsAreHonest { shards.hangUp(link) }
        for _ in 0..<100 where router.clients > 0 {
            try flow(rounds: 20)
            advance(.seconds(1))
        }
        if router.clients > 0 { throw WireFuzzer.Finding(what: "\(router.clients) sessions outlive their router") }
    }

    private func end() throws(WireFuzzer.Finding) {
        weak let remembered = router
        router?.closeAll()
        for _ in 0..<10 {
            try flow(rounds: 2)
            advance(.seconds(60))
        }
        count.spoiled += shards.spoiled
        count.scattered += (router?.metrics.scattered).map { Int($0.answered + $0.failed + $0.left) } ?? 0
        router?.shared.removeLoops()
        router = nil
        clients.removeAll()
        do { try loop.syncShutdownGracefully() } catch { throw WireFuzzer.Finding(what: "the loop does not end: \(error)") }
        if remembered != nil { throw WireFuzzer.Finding(what: "something holds on to the router's loop") }
    }

    // MARK: The router

    private static func settings(authenticates: Bool, _ random: inout SplitMix64) -> RouterSettings {
        var settings = RouterSettings.defaults(catalog: "sqlite:/nowhere")
        settings.wireAuth = authenticates ? .scram : .trust
        settings.poolSizeMax = 3
        settings.poolWaitersMax = 3
        settings.pinnedSessionsMax = 2
        settings.messageMax = 1 << 20
        settings.textCacheMax = 8
        settings.shapeCacheMax = 8
        settings.preparedStatementsMax = 2
        let isImpatient = Int.random(in: 0..<4, using: &random) == 0
        settings.idleTransactionTimeout = .seconds(isImpatient ? 2 : 600)
        settings.transactionTimeout = .seconds(isImpatient ? 4 : 1200)
        return settings
    }

    private func makeRouter() throws -> RouterLoop {
        var logger = Logger(label: "fuzz")
        logger.logLevel = .critical
        let control = ControlPlane(store: InMemoryCatalogStore(), group: loop, routerID: "fuzz", secrets: nil, logger: logger)
        let shared = RouterShared(
            settings: settings, control: control,
            requests: UnsteadyControl(loop: loop, random: NIOLoopBoundBox(SplitMix64(state: random.next()), eventLoop: loop)),
            connector: EmbeddedConnector(shards: NIOLoopBound(shards, eventLoop: loop)), loopCount: 1, start: random.next())
        let router = RouterLoop(eventLoop: loop, number: 0, shared: shared, admission: try Admission(settings), logger: logger)
        router.install(catalog.snapshot)
        router.install(catalog.readSchema(), for: "shop")
        for pool in router.databases.values.flatMap(\.allPools) {
            pool.replica?.expectedSystem = HostileShard.system
            pool.replica?.publish(router.now)
        }
        shared.add(LoopReference(router))
        return router
    }
}
#endif
