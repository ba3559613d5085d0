internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// One moment for statements that run on several shards: now() is asked of one, and written into the text for all (docs/decisions/0081-one-moment.md).
///
/// In a transaction it is the shard that has begun first, which SELECT now() asks, too.
extension ClientSession {
    /// The shard whose moment is the transaction's; nil: none has begun.
    private var clock: Int? { participants.firstIndex(where: \.hasBegun) }

    /// Where a statement without tables of its own shard is run.
    func poolOfCurrentShard(for plan: CachedPlan?) -> BackendPool {
        guard plan?.value.readsMoment ?? false, !transaction.isIdle, let clock else { return poolOfCurrentShard() }
        return participants[clock].backend.pool
    }

    /// Whether a write of the one shard would come to another moment than the transaction has: where another has begun it.
    func needsMoment(_ plan: CachedPlan, at pool: BackendPool) -> Bool {
        guard plan.value.readsMoment, plan.writes, plan.kind != .select, !transaction.isIdle, let clock else { return false }
        return participants[clock].backend.pool !== pool
    }

    /// The work of a write of one shard, with the transaction's moment.
    func workWithMoment(_ pool: BackendPool, _ origin: SpreadWork.Origin) throws(KeyProblem) -> SpreadWork {
        guard var work = SpreadWork(.sameText, [SpreadWork.Part(pool: pool, rows: [])], origin, epoch: database.topology.epoch) else { throw .fault(.planChanged) }
        do throws(ServerError) { work.ask(try momentUse(in: origin)) } catch { throw .fault(error) }
        return work
    }

    /// What a text for several shards asks of the clock; nil: nothing. Throws where they would come to different moments.
    func momentUse(in origin: SpreadWork.Origin) throws(ServerError) -> MomentUse? {
        var (types, inputs): ([UInt32], KeyInputs?) = ([], nil)
        if case .execution(let statement, let bind) = origin { (types, inputs) = (statement.parameterTypes, KeyInputs(bind: bind, parameterTypes: statement.parameterTypes)) }
        let namesMoment = inputs.map { $0.clockText(in: Array(1..<($0.bind?.parameterCount ?? 0) + 1)) != nil } ?? false
        guard namesMoment || MomentUse.isPossible(in: origin.text.readableBytesView), let scope else { return nil }
        let use: MomentUse
        do throws(Refusal) {
            use = try StatementPlanner.moment(bytes: Array(buffer: origin.text), parameterTypes: types, context: scope.context)
        } catch { throw .refusal(error) }
        if inputs?.clockText(in: use.clockParameters) != nil { throw .refusal(Refusal(.manyShards, "a parameter that names the present")) }
        return use
    }

    /// The same of an INSERT … SELECT whose rows are sent.
    func moments(of sent: SentRows, _ plan: CachedPlan, in origin: SpreadWork.Origin) throws(ServerError) -> SentMoments? {
        guard plan.value.readsMoment, let scope else { return nil }
        var types: [UInt32] = []
        if case .execution(let statement, _) = origin { types = statement.parameterTypes }
        do throws(Refusal) { return try sent.moments(parameterTypes: types, context: scope.context) } catch { throw .refusal(error) }
    }

    /// Asks for the moment, where the text needs it, and calls `done` with the text that has it.
    ///
    /// Precondition: a shard has begun.
    func askMoment(_ work: SpreadWork, _ done: @escaping (Result<SpreadWork, ServerError>) -> Void) {
        guard work.needsMoment, let clock else { return done(.success(work)) }
        // A transaction of one statement begins with it.
        let isAlone = transaction.isIdle && !batch.isOpen
        var answer: Result<[String?], ServerError> = .failure(.shardsChanged)
        each([clock], { (self.prelude(of: $0, wrote: self.participants[$0].wrote), { $0.writeQuery(MomentUse.question) }) }, keep: .simpleQuery) { [self] index, exchange, result in
            let backend = participants[index].backend
            answer = Self.failure(exchange, result, backend).map { .failure($0) } ?? .success(exchange.textResults.first?.first ?? [])
        } then: {
            switch answer {
            case .failure(let error): done(.failure(error))
            case .success(let moments):
                var work = work
                guard moments.count == 2, let transaction = moments[0], let statement = moments[1],
                    work.state(transaction: transaction, statement: isAlone ? transaction : statement)
                else { return done(.failure(.planChanged)) }
                done(.success(work))
            }
        }
    }
}
