internal import PoolCore
internal import RoutePlanning

/// A plan as the caches hold it: behind one reference, and with what nearly every statement asks worked out before. A copy of the plan itself
/// costs a reference for each of its parts.
final class CachedPlan {
    let value: StatementPlan
    /// Of its runs on this event loop.
    var pace = StatementPace()
    let kind: StatementKind
    let route: Route
    let writes: Bool
    let mayReadReplica: Bool
    let keyLengthMax: Int?
    /// Nothing at all, which a failed transaction takes, too, where it is not bound.
    let isEmpty: Bool
    /// A failed transaction still takes it.
    let leavesFailedTransaction: Bool
    /// Whether a shard has to see it: else the router answers all of it.
    let needsShard: Bool
    /// It leaves something behind in the server session, or belongs to a cursor.
    let isTraced: Bool
    /// It names temporary relations, which are on the home shard.
    let usesTemporary: Bool
    /// A look at the shard as it is now may give a better plan.
    let lacksSchema: Bool
    /// PostgreSQL runs it in a transaction block only.
    let requiresBlock: Bool
    /// The key that a comment of the text names.
    let hint: String?
    /// `pgmosaic.explain` explains it; the others run, so that it can be switched off again.
    let isExplainable: Bool

    init(_ plan: StatementPlan, hint: String? = nil) {
        self.hint = hint
        value = plan
        (kind, route, writes, keyLengthMax) = (plan.kind, plan.route, plan.writes, plan.keyLengthMax)
        mayReadReplica = plan.mayReadReplica
        lacksSchema = plan.lacksSchema
        isEmpty = plan.isEmpty
        leavesFailedTransaction = plan.leavesFailedTransaction
        needsShard = plan.needsShard
        isExplainable = plan.isExplainable
        requiresBlock = plan.requiresBlock
        usesTemporary = plan.traces.usesTemporary
        isTraced = plan.traces != .none || plan.cursor != nil
    }
}

extension StatementPlan {
    fileprivate var isEmpty: Bool { if case .empty = route { true } else { false } }

    fileprivate var leavesFailedTransaction: Bool {
        switch route {
        case .transaction(.commit), .transaction(.rollback), .transaction(.rollbackTo): true
        default: false
        }
    }

    fileprivate var needsShard: Bool {
        switch route {
        case .transaction, .mosaic, .empty: false
        case .session(let statement):
            switch statement {
            case .set, .setLocal, .setParameter, .reset, .setCharacteristics, .show, .discard, .discardSequences: true
            case .setTransaction, .discardAll, .deallocate, .prepare, .execute, .setMosaic, .showMosaic: false
            }
        case .keyed, .anyShard, .homeShard, .currentShard, .everyShard, .splitCopy, .broadcastCopy, .gatherCopy, .gatherRows, .everyKey, .keysFirst, .explain, .statements: true
        }
    }

    fileprivate var isExplainable: Bool {
        switch route {
        case .transaction, .session, .empty: false
        default: true
        }
    }
}
