internal import NIOCore
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
        let work = SpreadWork(everywhere: database.pools, origin, epoch: database.topology.epoch, moves: database.moves)
        if let refusal = refusalOfStrays(in: work) { throw refusal }
        return work
    }

    /// Why work is not begun, or does not go on: a row of its shards may be on two of them by now.
    func refusalOfStrays(in work: SpreadWork) -> ServerError? {
        guard let moves = work.moves else { return refusalOfStrays(on: work.parts.map(\.pool.shardID)) }
        return refusalOfStrays(since: moves)
    }
}
