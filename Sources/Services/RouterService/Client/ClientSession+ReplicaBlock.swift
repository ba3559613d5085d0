internal import NIOCore
internal import PGWire
internal import ReplicaCore
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Transaction blocks that cannot write, of eventual sessions: a block whose first statement a replica can answer runs there.
///
/// What is not for a replica leaves it. At READ COMMITTED each statement has a snapshot of its own, so the block goes on at the primaries, which are told of it as
/// any shard that joins late. A block of one snapshot cannot move, and the statement is refused. So is nothing of a block that began on a primary.
extension ClientSession {
    enum ReplicaStep {
        /// The usual way, which for what belongs to the session or its transaction leads to the shard that has the block.
        case usual
        case read(BackendPool)
        /// The session leaves its replica first.
        case leave
    }

    /// Where the next statement goes, of a database of which some shard has replicas.
    func replicaStep(_ plan: CachedPlan, _ inputs: KeyInputs, _ frame: ByteBuffer, isPortalNamed: Bool = false) -> ReplicaStep {
        guard transaction.isIdle else { return blockStep(plan, inputs, frame, isPortalNamed: isPortalNamed) }
        // A named portal may be executed behind a write, when the replica has been left.
        if readsReplicas, !plan.isTraced, !isPortalNamed, let pool = replica(for: plan, inputs, frame) { return .read(pool) }
        return isOnReplica ? .leave : .usual
    }

    private func blockStep(_ plan: CachedPlan, _ inputs: KeyInputs, _ frame: ByteBuffer, isPortalNamed: Bool) -> ReplicaStep {
        guard isOnReplica else { return firstReplica(plan, inputs, frame, isPortalNamed: isPortalNamed).map(ReplicaStep.read) ?? .usual }
        // Only the block's first statement is done anew by the primary.
        replicas.read = nil
        if transaction.isFailed { return .usual }
        switch plan.route {
        case .transaction, .session, .mosaic, .empty, .statements: return .usual
        case .keyed, .anyShard, .homeShard, .currentShard, .everyShard, .splitCopy, .broadcastCopy, .gatherCopy, .gatherRows, .everyKey, .keysFirst, .explain: break
        }
        guard !isPortalNamed || isOneSnapshot, let pool = replica(ofBlockFor: plan, at: primary(for: plan, inputs)) else { return .leave }
        return .read(pool)
    }

    /// The block's replica, where it answers the statement as a primary would that lags.
    ///
    /// - place: the pool of its shard; nil: there is not one.
    func replica(ofBlockFor plan: CachedPlan?, at place: BackendPool?) -> BackendPool? {
        guard let plan, plan.mayReadReplica, !plan.isTraced, consistency == .eventual, let pool = participants.first?.backend.pool, let replica = pool.replica,
            place?.shardID == pool.shardID
        else { return nil }
        // One snapshot grows no older.
        guard isOneSnapshot || loop.shared.replicaChoice.admits(replica.candidate, now: loop.lately, wrote: replicas.wrote) else { return nil }
        database.pool(ofShard: pool.shardID)?.eventualReads.replica &+= 1
        return pool
    }

    /// Where a block begins that no shard has seen yet; nil: at a primary.
    private func firstReplica(_ plan: CachedPlan, _ inputs: KeyInputs, _ frame: ByteBuffer, isPortalNamed: Bool) -> BackendPool? {
        guard participants.isEmpty, script.isEmpty, plan.mayReadReplica, !plan.isTraced, consistency == .eventual, transaction.phase == .open, !isDoomed,
            list == nil, pins.isEmpty, privateSchema == nil, !batch.isImplicitlyCoordinated, !replicas.avoids, !replicas.mayHaveWritten,
            replicas.leftBlock != transactionNumber,
            let modes = transaction.modes(defaults: settingsAtBegin.settings), modes.isReadOnly == true,
            // A standby has no such snapshots.
            modes.isolation != "SERIALIZABLE",
            // Its rows may be asked for when the block has left.
            !isPortalNamed || modes.isOneSnapshot == true,
            let primary = primary(for: plan, inputs)
        else { return nil }
        guard let pool = database.replica(of: primary, wrote: replicas.wrote) else {
            primary.eventualReads.primary &+= 1
            return nil
        }
        primary.eventualReads.replica &+= 1
        replicas.blockIsOneSnapshot = modes.isOneSnapshot
        replicas.read = ReplicaRead(self, outboxMark, primary: primary, frame: frame)
        return pool
    }

    /// Whether all of the block must see the same rows. Where nobody has said so its server's default decides.
    private var isOneSnapshot: Bool { replicas.blockIsOneSnapshot ?? participants.first?.backend.pool.isStrict ?? true }

    /// Ends the block on its replica, and goes on with `then`, which takes it to a primary. The unit fails where that is impossible.
    func moveToPrimary(_ then: @escaping () -> Void) {
        replicas.read = nil
        if isOneSnapshot { return failUnit(.refusal(Refusal(.replicaSnapshot))) }
        replicas.leftBlock = transactionNumber
        drain { [self] in
            // It may have been lost meanwhile.
            guard isOnReplica, let participant = participants.popLast() else { return then() }
            let backend = participant.backend
            batch.rawUnnamed = nil
            validate()
            strictIsolation = nil
            portals = portals.filter { $0.value.owner !== backend }
            if unnamedPortal?.owner === backend { unnamedPortal = nil }
            backend.takeBack()
            // It has only read: nobody waits for its end.
            backend.settings = participant.settingsOutside
            let exchange = Exchange { exchange, result in
                if result == .done { backend.pool.release(backend, isReusable: exchange.error == nil && exchange.status == TransactionState.Phase.idle.rawValue) }
            }
            backend.run(exchange) { $0.writeQuery("ROLLBACK") }
            backend.boundExchange(to: limits.abandonedTime)
            then()
        }
    }
}
