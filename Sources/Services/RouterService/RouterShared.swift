internal import Logging
internal import NIOCore
internal import NIOSSL
internal import PGWire
internal import ServerConfig
internal import ShardModel
internal import Synchronization

/// What all event loops of a router know and never change.
final class RouterShared: Sendable {
    let routerID: String
    let settings: RouterSettings
    let limits: RouterLimits
    let control: ControlPlane
    let clients: ClientBudget
    let pins: PinBudget
    let budgets = SlotBudgets()
    let tls: NIOSSLContext?
    /// Makes the salts of users that do not exist.
    let mockSecret: [UInt8]
    let loopCount: Int
    /// Drawn at each start of the router.
    let start = UInt64.random(in: .min ... .max)
    private let loops = Mutex<[LoopReference]>([])

    init(settings: RouterSettings, control: ControlPlane, tls: NIOSSLContext?, loopCount: Int) {
        self.loopCount = loopCount
        routerID = settings.id
        self.settings = settings
        limits = RouterLimits(settings)
        self.control = control
        self.tls = tls
        clients = ClientBudget(max: limits.clientsMax)
        pins = PinBudget(max: settings.pinnedSessionsMax)
        mockSecret = SecureRandom.bytes(32)
    }

    var authenticates: Bool { settings.wireAuth == .scram }
    var requiresTLS: Bool { settings.tlsMode == .require }

    func add(_ loop: LoopReference) { loops.withLock { $0.append(loop) } }
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

/// How many clients the router takes, over all loops.
final class ClientBudget: Sendable {
    private let max: Int
    private let count = Mutex(0)

    init(max: Int) { self.max = max }

    /// nil: the limit is reached.
    func admit() -> ClientPermit? {
        let isAdmitted = count.withLock { count in
            guard count < max else { return false }
            count += 1
            return true
        }
        return isAdmitted ? ClientPermit(self) : nil
    }

    fileprivate func release() { count.withLock { $0 -= 1 } }
    var current: Int { count.withLock { $0 } }
}

/// A client's place; given back when the last reference goes.
final class ClientPermit: Sendable {
    private let budget: ClientBudget
    fileprivate init(_ budget: ClientBudget) { self.budget = budget }
    deinit { budget.release() }
}
