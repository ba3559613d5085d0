internal import ControlAPI
internal import NIOCore
internal import Synchronization

/// Hands REST's statements to the event loops, in turn, and waits for their answers.
final class StatementRunner: Sendable {
    private struct Target: Sendable {
        let loop: LoopReference
        let pool: NIOLoopBoundBox<StatementPool>
    }

    private let targets: [Target]
    private let count = Atomic<UInt64>(0)

    /// Precondition: there is a loop.
    init(_ loops: [LoopReference]) async {
        precondition(!loops.isEmpty, "a router has an event loop")
        var targets: [Target] = []
        for reference in loops {
            let pool = await reference.ask { loop in
                NIOLoopBoundBox(StatementPool(loop, reference), eventLoop: reference.eventLoop)
            }
            targets.append(Target(loop: reference, pool: pool))
        }
        self.targets = targets
    }

    var anyLoop: LoopReference { targets[Int(count.load(ordering: .relaxed) % UInt64(targets.count))].loop }

    /// The answer's body. Throws an `APIError`. A cancelled task's statement is cancelled too.
    func run(_ request: StatementRequest) async throws -> [UInt8] { try await run([request], isBatch: false) }

    /// The same for statements that make one transaction. Precondition: there is one.
    func run(batch: [StatementRequest]) async throws -> [UInt8] { try await run(batch, isBatch: true) }

    private func run(_ statements: [StatementRequest], isBatch: Bool) async throws -> [UInt8] {
        let id = count.add(1, ordering: .relaxed).newValue
        let target = targets[Int(id % UInt64(targets.count))]
        let promise = target.loop.eventLoop.makePromise(of: [UInt8].self)
        // Before the task can be cancelled: what is abandoned must be known to the loop.
        target.loop.eventLoop.execute { target.pool.value.run(StatementCall(id: id, statements, isBatch: isBatch, promise)) }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            target.loop.eventLoop.execute { target.pool.value.abandon(id: id) }
        }
    }

    func close() async {
        for target in targets {
            let pool = target.pool
            _ = await target.loop.ask { _ in pool.value.closeAll() }
        }
    }
}
