internal import ControlAPI
internal import NIOCore
internal import Synchronization

/// Hands REST's statements to the event loops, and waits for their answers.
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
        let target = target(for: id)
        let promise = target.loop.eventLoop.makePromise(of: [UInt8].self)
        // Before the task can be cancelled: what is abandoned must be known to the loop.
        target.loop.eventLoop.execute { target.pool.value.run(StatementCall(id: id, statements, isBatch: isBatch, promise)) }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            target.loop.eventLoop.execute { target.pool.value.abandon(id: id) }
        }
    }

    /// That of the request's connection, which saves two changes of thread; any where it was handled elsewhere.
    private func target(for id: UInt64) -> Target {
        targets.first { $0.loop.eventLoop.inEventLoop } ?? targets[Int(id % UInt64(targets.count))]
    }

    /// Begins a stream: its first piece, and where the others are to be had. Throws an `APIError` where the statement fails before it has given a row.
    func stream(_ request: StatementRequest) async throws -> (first: ResultPiece, source: StreamSource) {
        let id = count.add(1, ordering: .relaxed).newValue
        let target = target(for: id)
        let source = StreamSource(id: id, loop: target.loop, pool: target.pool)
        let first = try await source.piece { target.pool.value.run(StatementCall(id: id, streaming: request, first: $0)) }
        return (first, source)
    }

    /// Where a stream's caller gets the pieces.
    struct StreamSource: Sendable {
        fileprivate let id: UInt64
        fileprivate let loop: LoopReference
        fileprivate let pool: NIOLoopBoundBox<StatementPool>

        /// Waits for the next piece. Throws an `APIError` at the end of a stream that is not complete. A cancelled task's statement is cancelled too.
        func next() async throws -> ResultPiece {
            try await piece { [pool, id] in pool.value.take(id: id, $0) }
        }

        /// No further piece is wanted: cancels the statement, unless it has ended.
        func drop() {
            loop.eventLoop.execute { [pool, id] in pool.value.drop(id: id) }
        }

        fileprivate func piece(_ ask: @escaping @Sendable (EventLoopPromise<ResultPiece>) -> Void) async throws -> ResultPiece {
            let promise = loop.eventLoop.makePromise(of: ResultPiece.self)
            // Before the task can be cancelled: what is abandoned must be known to the loop.
            loop.eventLoop.execute { ask(promise) }
            return try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                // The piece still comes: it tells what became of the statement.
                loop.eventLoop.execute { [pool, id] in pool.value.abandon(id: id) }
            }
        }
    }

    func close() async {
        for target in targets {
            let pool = target.pool
            _ = await target.loop.ask { _ in pool.value.closeAll() }
        }
    }
}
