#if DEBUG
internal import CommitCore
internal import NIOCore
internal import PGWire
internal import RoutePlanning
@testable internal import RouterService
internal import ShardModel
internal import WireFuzzing

/// A control plane that does what it is asked for after a while, or fails.
struct UnsteadyControl: ControlRequests {
    private struct Failure: Error {}

    let loop: any EventLoop
    let random: NIOLoopBoundBox<SplitMix64>

    private func answer<Value: Sendable>(_ value: Value) -> EventLoopFuture<Value> {
        let promise = loop.makePromise(of: Value.self)
        let fails = Int.random(in: 0..<4, using: &random.value) == 0
        loop.scheduleTask(in: .milliseconds(.random(in: 0...200, using: &random.value))) {
            if fails { promise.fail(Failure()) } else { promise.succeed(value) }
        }
        return promise.futureResult
    }

    func refreshSchema(database: String) -> EventLoopFuture<Void> { answer(()) }
    func publish(_ changes: [PlacementChange], database: String, author: String) -> EventLoopFuture<ServerError?> { answer(nil) }
    func declare(_ statement: MosaicStatement, database: String, author: String) -> EventLoopFuture<Void> { answer(()) }

    func run(
        _ work: ConcurrentIndex, statement: String, settings: [String], database: String, progress: @escaping @Sendable (String) -> Void,
        done: @escaping @Sendable (Result<String, ServerError>) -> Void
    ) -> Task<Void, Never> {
        answer(work.tag).whenComplete { result in done(result.mapError { _ in .canceled }) }
        return Task {}
    }

    func drained(_ acknowledgement: HoldAcknowledgement, loop: Int) {}

    func overfull(_ attempt: HoldAttempt) {}

    func counted(_ report: SessionReport, loop: Int) {}

    func lookUp(_ id: GlobalTransactionID, database: String) -> EventLoopFuture<Decision> {
        answer([.committed, .excluded, .absent, .unreachable].randomElement(using: &random.value) ?? .absent)
    }

    func commitPrepared(_ name: String, at shard: ShardID, until deadline: NIODeadline) -> EventLoopFuture<Bool> {
        answer(.random(using: &random.value))
    }
}
#endif
