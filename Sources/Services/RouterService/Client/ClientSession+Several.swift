internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// A transaction that reaches a second shard.
///
/// From then on each of its shards waits for locks for a limited time, because no PostgreSQL sees a deadlock that spans several; and its
/// isolation must be READ COMMITTED, because the snapshots of two shards are taken at two moments.
extension ClientSession {
    /// Makes the transaction ready for one more shard.
    func openForSeveral(_ then: @escaping () -> Void) {
        if transaction.isIdle, !batch.isImplicitlyCoordinated { return openBlock { [self] in openForSeveral(then) } }
        drain { [self] in
            boundLocks(of: participants.indices.filter { participants[$0].hasBegun }) { [self] error in
                if let error { failUnit(error) } else { then() }
            }
        }
    }

    /// Waits until everything that was sent has been answered; the Sync that this takes ends no transaction.
    func drainInTransaction(_ then: @escaping () -> Void) {
        if transaction.isIdle, batch.needsSync, !batch.isImplicitlyCoordinated { openBlock(then) } else { drain(then) }
    }

    /// Turns a pipeline without BEGIN into a transaction that outlives its Sync: BEGIN in the middle of one makes a block of the transaction
    /// that is under way, what came before included. The client's Sync commits it.
    private func openBlock(_ then: @escaping () -> Void) {
        runUnseen("BEGIN")
        drain { [self] in
            batch.isImplicitlyCoordinated = true
            isInOwnBlock = true
            then()
        }
    }

    /// Runs a statement of the router's own on the speaker in the middle of a batch. It must be one that cannot fail.
    func runUnseen(_ statement: String) {
        let name = "pgmosaic_own"
        backend.send { buffer in
            buffer.writeParse(name: name, query: statement)
            buffer.writeBind(portal: name, statement: name, parameters: [])
            buffer.writeExecute(portal: name)
            buffer.writeClose(.portal, name: name)
            buffer.writeClose(.statement, name: name)
        }
        for step in [ResponseScript.Expectation.parse, .bind, .execute, .close, .close] { script.swallow(step) }
        batch.needsSync = true
    }

    /// Bounds the waits for locks on these participants, where that is not done yet, after what they still have to be told of the transaction.
    func boundLocks(of indices: [Int], _ done: @escaping (ServerError?) -> Void) {
        let indices = indices.filter { !participants[$0].hasLockBound }
        guard !indices.isEmpty else { return done(isolationProblem) }
        var failure: ServerError?
        each(
            indices,
            { index in
                let wrote = self.participants[index].wrote
                return (self.prelude(of: index, wrote: wrote), { $0.writeQuery(self.lockBound) })
            }, keep: .simpleQuery
        ) { [self] index, exchange, result in
            if failure == nil { failure = Self.failure(exchange, result, participants[index].backend) }
            let isolation = exchange.textResults.first?.first?.first ?? nil
            if let isolation, !["read committed", "read uncommitted"].contains(isolation) { strictIsolation = isolation }
            participants[index].hasLockBound = true
        } then: { [self] in
            done(failure ?? isolationProblem)
        }
    }

    /// A stricter isolation holds on each shard by itself: fine while the rows of one shard only are concerned.
    var isolationProblem: ServerError? {
        guard let strictIsolation, participants.count(where: { $0.role > .passing }) > 1 else { return nil }
        return .refusal(Refusal(.isolation, strictIsolation))
    }

    /// A bound that the client has set itself stays.
    private var lockBound: String {
        """
        SELECT pg_catalog.current_setting('transaction_isolation'), \
        (SELECT pg_catalog.set_config('lock_timeout', '\(limits.lockTimeoutMilliseconds)ms', true) \
        WHERE pg_catalog.current_setting('lock_timeout') OPERATOR(pg_catalog.=) '0')
        """
    }
}
