internal import Listening
internal import Logging
internal import NIOCore
internal import ServerConfig
internal import Synchronization

/// The end of a router, in the order that costs its clients least.
///
/// 1. The listener takes what has reached it, and no more: see `Listening.retire`. New clients meet the successor, or nobody.
/// 2. Clients between transactions are told goodbye (57P01), so that they come back to the successor; the others when their transaction ends. REST
///    answers the requests under way.
/// 3. When the grace is over, transactions are rolled back and statements cancelled; those that do not end are given up.
struct ShutdownSequence {
    let settings: RouterSettings
    let wire: any Channel
    let loops: [LoopReference]
    let restHasEnded: Flag
    let logger: Logger

    /// Between two looks at what is still open.
    private static let pause = Duration.milliseconds(10)

    func run() async {
        logger.info("Shutting down")
        await Listening.retire(wire, sharesPort: settings.sharesPorts)
        for loop in loops { loop.run { $0.drain() } }
        let beginning = ContinuousClock.now
        let isDrained = await wait(settings.shutdownGrace) {
            // A connection that says nothing, a probe for instance, holds nobody up.
            let isLate = ContinuousClock.now - beginning > RouterLimits.shutdownCourtesy
            let open = await sum { $0.clients + (isLate ? 0 : $0.logins) }
            return open == 0 && restHasEnded.isSet
        }
        if !isDrained {
            let open = await sum { $0.sessions.count }
            logger.warning("The time of grace is over: open transactions are rolled back", metadata: ["sessions": "\(open)"])
            for loop in loops { loop.run { $0.cutOff() } }
            _ = await wait(RouterLimits.cutOffTime) { await sum { $0.sessions.count } == 0 }
        }
        for loop in loops { _ = await loop.ask { $0.closeAll() } }
        _ = await wait(RouterLimits.lingerTime + .milliseconds(100)) { await sum { $0.lingering } == 0 }
    }

    private func sum(_ count: @escaping @Sendable (RouterLoop) -> Int) async -> Int {
        var sum = 0
        for loop in loops { sum += await loop.ask(count) }
        return sum
    }

    /// True once `condition` holds; false when `limit` has passed before, or when the task was cancelled.
    private func wait(_ limit: Duration, until condition: () async -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            if await condition() { return true }
            guard ContinuousClock.now < deadline else { return false }
            do { try await Task.sleep(for: Self.pause) } catch { return false }
        }
    }
}

/// Something that happens once.
final class Flag: Sendable {
    private let value = Atomic(false)
    func set() { value.store(true, ordering: .releasing) }
    var isSet: Bool { value.load(ordering: .acquiring) }
}
