internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import ShardModel

/// UPDATE and DELETE without a key: each shard writes the rows of its own keys (docs/internals/transactions.md). All of it is one `SpreadWork`.
extension ClientSession {
    func writeEverywhere(_ planned: PlannedStatement, _ origin: SpreadWork.Origin) {
        do throws(ServerError) { run(try everywhere(planned, origin)) } catch { failUnit(error) }
    }

    func bindEverywhere(_ plan: EveryKey, _ message: BindMessage, _ statement: Statement, _ inputs: KeyInputs) {
        if inputs.clockText(in: plan.clockParameters) != nil { return failBatch(.refusal(Refusal(.noKey, "a parameter that names the present"))) }
        do throws(ServerError) {
            bindBehindHeld(message, statement, .spread(try everywhere(statement.planned, .execution(statement, message))))
        } catch {
            // PostgreSQL looks at the portal's name before it reads the parameters.
            if isTaken(message) { failBatch(.duplicatePortal(String(buffer: message.portal))) } else { failBatch(error, leaving: (message, statement)) }
        }
    }

    /// The work of all shards that there are now.
    func everywhere(_ planned: PlannedStatement, _ origin: SpreadWork.Origin) throws(ServerError) -> SpreadWork {
        // A hint says which shard's rows are meant, and runs read only.
        guard isGathered(planned) else { throw .refusal(Refusal(.noKey)) }
        var work = SpreadWork(everywhere: database.pools, origin, epoch: database.topology.epoch, moves: database.moves)
        if let plan = planned.plan, case .everyKey(let write) = plan.route, let sent = write.sent {
            work.send(sent, try moments(of: sent, plan, in: origin))
        } else {
            work.ask(try momentUse(in: origin))
        }
        if let refusal = refusalOfStrays(in: work) { throw refusal }
        if let plan = planned.plan, let move = work.sent?.move, let pool = try poolOfBoth(move, plan, origin), let whole = SpreadWork(.sameText, [SpreadWork.Part(pool: pool, rows: [])], origin, epoch: work.epoch) { return whole }
        return work
    }

    /// The shard that has a row before and after its key changes: PostgreSQL's own UPDATE does it there. nil: it is not one shard, or the moment must be written into the text.
    private func poolOfBoth(_ move: SentRows.Move, _ plan: CachedPlan, _ origin: SpreadWork.Origin) throws(ServerError) -> BackendPool? {
        var inputs = KeyInputs(text: origin.text, literals: [])
        if case .execution(let statement, let bind) = origin {
            inputs = KeyInputs(bind: bind, parameterTypes: statement.parameterTypes)
            if let wanted = inputs.missingParameter(in: [move.old, move.new]) { throw .parameterCount(bind.parameterCount, wanted: wanted) }
        }
        var owners: [ShardIndex] = []
        for source in [move.old, move.new] {
            do throws(KeyError) {
                if case .one(let token) = try inputs.tokens(source) { owners.append(database.owner(of: token)) }
            } catch { throw .keyError(error) }
        }
        if let limit = plan.keyLengthMax { try inputs.checkLength(of: [move.new], max: limit) }
        return owners.count == 2 && owners[0] == owners[1] && !plan.value.readsMoment ? database.pool(owners[0]) : nil
    }

    /// Why work is not begun, or does not go on: a row of its shards may be on two of them by now.
    func refusalOfStrays(in work: SpreadWork) -> ServerError? {
        if work.sent?.followsOwners ?? false { return nil }
        guard let moves = work.moves else { return refusalOfStrays(on: work.parts.map(\.pool.shardID)) }
        return refusalOfStrays(since: moves)
    }
}
