internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// CREATE INDEX CONCURRENTLY and its like, which the session waits for while others do them.
extension ClientSession {
    func runConcurrently(_ work: ConcurrentIndex, _ text: String) {
        guard list == nil, !unit.continuesPipeline else { return failUnit(.notInTransactionBlock) }
        startConcurrently(work, text) { [self] result in
            switch result {
            case .success(let tag): completeUnit { $0.writeCommandComplete(tag: tag) }
            case .failure(let error): failUnit(error)
            }
        }
    }

    func executeConcurrently(_ work: ConcurrentIndex, _ text: String) {
        guard !batch.isPipelining, !batch.isImplicitlyCoordinated else { return failBatch(.notInTransactionBlock) }
        afterAnswers { [self] in
            startConcurrently(work, text) { [self] result in
                switch result {
                case .success(let tag): answer { $0.writeCommandComplete(tag: tag) }
                case .failure(let error): failBatch(error)
                }
            }
        }
    }

    private func startConcurrently(_ work: ConcurrentIndex, _ text: String, _ done: @escaping (Result<String, ServerError>) -> Void) {
        guard transaction.isIdle else { return done(.failure(.notInTransactionBlock)) }
        let suspension = suspend()
        let outcome = loop.eventLoop.makePromise(of: String.self)
        let session = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let eventLoop = loop.eventLoop
        unit.task = loop.shared.requests.run(work, statement: text, settings: settings.settings.statements(from: .init()), database: database.name) { line in
            eventLoop.execute { session.value.tell(line, in: suspension) }
        } done: {
            outcome.completeWith($0.mapError { $0 as any Error })
        }
        outcome.futureResult.assumeIsolated().whenComplete { [self] result in
            unit.task = nil
            guard resume(suspension) else { return }
            forgetScope()
            done(result.mapError { ($0 as? ServerError) ?? .catalogUnavailable })
            pump()
        }
    }

    /// Notices come when they are there: the statement takes long.
    private func tell(_ line: String, in suspension: UInt32) {
        guard work == .suspended, suspension == suspensionCount else { return }
        answer { $0.writeNoticeResponse(ServerError(severity: .notice, sqlState: .successfulCompletion, message: line)) }
        flushClient()
    }
}
