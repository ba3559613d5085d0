internal import NIOCore
internal import PGWire
internal import PoolCore
internal import SessionCore

/// Short reads of several sessions down one connection: `session` is the one that is being answered, `line` has those behind it.
///
/// With each ReadyForQuery the next one takes its place. What a rider sent is a read that the client has seen nothing of, so at any moment it can
/// be sent away to have its statement done elsewhere; the answer that still comes here is dropped.
extension Backend {
    typealias Line = SharedLine<ClientSession>

    /// The session's whole unit was sent: others may send theirs behind it.
    func share(cost: UInt64) {
        line = Line(frontCost: cost)
        pool.lineBegan(self)
    }

    func join(_ session: ClientSession, cost: UInt64) {
        line?.join(session, cost: cost)
        pool.riderJoined()
        if !isWatched {
            isWatched = true
            watchedTurns = turns
            pool.loop.watch(self)
        }
    }

    /// The one in front has its answer.
    func nextTurn() {
        turns &+= 1
        // A slow client may have stopped the reading: the next one must hear what the server says.
        takeBack()
        // In a transaction, as the server says, it would be nobody's to share.
        guard status == TransactionState.Phase.idle.rawValue else { return close() }
        switch line?.advance() {
        case .rider(let next):
            session = next
            next.turnCame()
        case .vacant:
            exchange = Exchange { [self] _, result in
                if result == .done { nextTurn() }
            }
        case .some(.none), nil:
            _ = endLine()
            pool.release(self)
        }
    }

    /// Before the one in front is cancelled or closed, and when it takes long: the riders' statements are done elsewhere.
    func sendRidersAway() {
        guard let riders = line?.sendRidersAway() else { return }
        for rider in riders { rider.sentAway() }
    }

    /// Nobody shares it any more; answers who still rode.
    func endLine() -> [ClientSession] {
        guard line != nil else { return [] }
        let riders = line?.sendRidersAway() ?? []
        line = nil
        pool.lineEnded(self)
        return riders
    }

    /// Called now and then while there are riders; false when there is nothing to look after any more.
    func watchTurn() -> Bool {
        guard let line, line.hasRiders || session == nil else {
            isWatched = false
            return false
        }
        if turns != watchedTurns {
            watchedTurns = turns
        } else if !line.isStalled {
            session?.unit.pacer?.pace.tookLong()
            sendRidersAway()
            if session == nil {
                // What runs is for nobody.
                pool.cancel(self)
                boundExchange(to: pool.loop.limits.abandonedTime)
            }
        }
        return true
    }
}
