internal import Audit
internal import Logging
internal import NIOCore
internal import PGWire
internal import PoolCore
internal import ReplicaCore
internal import RESTServer
internal import ServerConfig
internal import ShardModel
internal import Synchronization

/// What all event loops of a router know, and what they share behind locks that no statement takes.
final class RouterShared: Sendable {
    let routerID: String
    let control: ControlPlane
    /// What sessions ask of it.
    let requests: any ControlRequests
    let connector: any ShardConnecting
    /// nil: there is none.
    let audit: AuditTrail?
    /// Checks tokens; nil: none are taken.
    let tokens: RESTAuthenticator?
    let clients: ClientBudget
    let consoles = ClientBudget(ClientBudget.Limits(total: ConsoleSession.sessionsMax, ofUser: 0, ofDatabase: 0))
    let pins: PinBudget
    let budgets = SlotBudgets()
    /// nil: the settings stay as they are.
    let reloader = Mutex<Reloader?>(nil)
    let replicas: ReplicaServers
    let replicaChoice: ReplicaChoice
    /// Makes the salts of users that do not exist.
    let mockSecret: [UInt8]
    let loopCount: Int
    /// Drawn at each start of the router.
    let start: UInt64
    private let loops = Mutex<[LoopReference]>([])
    private let current: Mutex<RouterSettings>

    /// - requests: nil: `control` itself.
    init(
        settings: RouterSettings, control: ControlPlane, requests: (any ControlRequests)? = nil,
        connector: any ShardConnecting = SocketConnector(), audit: AuditTrail? = nil, tokens: RESTAuthenticator? = nil, loopCount: Int, start: UInt64 = .random(in: .min ... .max)
    ) {
        self.start = start
        self.requests = requests ?? control
        self.connector = connector
        self.audit = audit
        self.tokens = tokens
        self.loopCount = loopCount
        routerID = settings.id
        current = Mutex(settings)
        replicas = ReplicaServers(slotsMax: settings.poolSizeMax, loops: loopCount)
        replicaChoice = ReplicaChoice(lagMax: PoolNanoseconds(settings.replicaLagMax))
        self.control = control
        clients = ClientBudget(ClientBudget.Limits(settings))
        pins = PinBudget(max: settings.pinnedSessionsMax)
        mockSecret = SecureRandom.bytes(32)
    }

    /// Those in force. What loops need of them they have themselves: `RouterLoop.limits`, `RouterLoop.admission`.
    var settings: RouterSettings {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }

    func add(_ loop: LoopReference) { loops.withLock { $0.append(loop) } }
    /// At the end.
    func removeLoops() { loops.withLock { $0.removeAll() } }
    var allLoops: [LoopReference] { loops.withLock { $0 } }

    /// Finds the session that a CancelRequest names; a wrong secret is ignored, as PostgreSQL does.
    func cancel(_ request: CancelRequest) {
        let number = Int(request.processID >> 24)
        guard let reference = allLoops.first(where: { $0.number == number }) else { return }
        reference.run { loop in
            guard let session = loop.session(processID: request.processID), session.secret == request.secret else { return }
            session.cancel()
        }
    }
}

/// A `RouterLoop` as other threads may hold it.
///
/// `@unchecked`: the loop is touched only by closures that run on its own event loop.
final class LoopReference: @unchecked Sendable {
    let number: Int
    let eventLoop: any EventLoop
    private let loop: RouterLoop

    init(_ loop: RouterLoop) {
        self.loop = loop
        number = loop.number
        eventLoop = loop.eventLoop
    }

    func run(_ work: @escaping @Sendable (RouterLoop) -> Void) {
        eventLoop.execute { work(self.loop) }
    }

    func ask<Answer: Sendable>(_ work: @escaping @Sendable (RouterLoop) -> Answer) async -> Answer {
        await withCheckedContinuation { continuation in
            eventLoop.execute { continuation.resume(returning: work(self.loop)) }
        }
    }

    /// For code that is on the event loop already.
    func here() -> RouterLoop {
        eventLoop.preconditionInEventLoop()
        return loop
    }
}
