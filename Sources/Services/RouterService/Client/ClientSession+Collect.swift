internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore
internal import ShardModel

/// Answers a query to the router itself, which keeps its rows: up to `limits.coordinatedAnswerMax` bytes of them.
///
/// Precondition of all: every shard is a participant, and has begun.
extension ClientSession {
    typealias Collected = Result<CollectedRows, ServerError>

    func collect(_ work: SpreadWork, _ sent: SentRows, _ done: @escaping (Collected) -> Void) {
        guard let scope, let (statement, bind) = query(sent, of: work, scope) else { return done(.failure(.planChanged)) }
        guard let plan = statement.planned.plan else { return done(.failure(statement.planned.error(inFailedTransaction: false))) }
        let origin = GatherOrigin.execution(statement, bind)
        let inputs = KeyInputs(bind: bind, parameterTypes: statement.parameterTypes)
        switch plan.route {
        case .keyed(let sources):
            if let wanted = inputs.missingParameter(in: sources) { return done(.failure(.parameterCount(bind.parameterCount, wanted: wanted))) }
            do throws(KeyProblem) {
                collect(origin, from: [try pool(for: sources, plan, inputs)], writes: plan.writes, done)
            } catch {
                guard case .several = error,
                    case .gatherRows(let gather)? = StatementPlanner.across(bytes: sent.parts.query, parameterTypes: statement.parameterTypes, context: scope.context)
                else { return done(.failure(error.error)) }
                collect(gather, origin, inputs, done)
            }
        case .anyShard, .homeShard, .currentShard: collect(origin, from: [database.home], done)
        case .gatherRows(let gather): collect(gather, origin, inputs, done)
        default: done(.failure(.planChanged))
        }
    }

    /// The query as a statement with parameters, whose rows come in binary form.
    private func query(_ sent: SentRows, of work: SpreadWork, _ scope: PlanScope) -> (Statement, BindMessage)? {
        let values = work.bind.map { bind in bind.parameters.enumerated().map { (value: $1, format: bind.format(ofParameter: $0)) } } ?? []
        return scope.execution(of: sent.parts.query, parameterTypes: work.parameterTypes, values: values, resultFormat: .binary)
    }

    private func collect(_ gather: GatherRows, _ origin: GatherOrigin, _ inputs: KeyInputs, _ done: @escaping (Collected) -> Void) {
        if inputs.clockText(in: gather.clockParameters) != nil { return done(.failure(.refusal(Refusal(.noKey, "a parameter that names the present")))) }
        if gather.isFinished, let finish = gather.finish { return collect(finish, origin, done) }
        guard let combination = gather.combination else { return collect(origin, from: Array(database.pools), done) }
        combine(combination, origin, showsColumns: true) { [self] outcome in
            switch outcome {
            case .success(let answers):
                var rows = CollectedRows()
                if rows.add(answers) != nil { return done(.failure(.planChanged)) }
                done(.success(rows))
            case .failure(let error):
                // Another way may put them together.
                guard let finish = gather.finish, error[.detail]?.hasPrefix(RefusalCode.combinedType.rawValue) ?? false else { return done(.failure(error)) }
                collect(finish, origin, done)
            }
        }
    }

    /// The rows of these shards, one behind the other.
    private func collect(_ origin: GatherOrigin, from pools: [BackendPool], writes: Bool = false, _ done: @escaping (Collected) -> Void) {
        let indices = pools.compactMap { pool in participants.firstIndex { $0.backend.pool === pool } }
        guard indices.count == pools.count else { return done(.failure(.shardsChanged)) }
        var (rows, error): (CollectedRows, ServerError?) = (CollectedRows(), nil)
        each(
            indices, { (self.prelude(of: $0, wrote: writes || self.participants[$0].wrote), { origin.write(into: &$0) }) }, keep: .simpleQuery, AnswerBudget(limits.coordinatedAnswerMax)
        ) { [self] index, exchange, result in
            guard error == nil else { return }
            error = Self.failure(exchange, result, participants[index].backend) ?? rows.add(exchange.answers).map { .refusal(Refusal(.typesDiffer, $0)) }
        } then: {
            done(error.map { .failure($0) } ?? .success(rows))
        }
    }

    private func collect(_ finish: FinishPlan, _ origin: GatherOrigin, _ done: @escaping (Collected) -> Void) {
        var rows = CollectedRows()
        var bytes = 0
        let limit = limits.coordinatedAnswerMax
        beginFinish(
            finish, origin,
            for: RowTaker(
                columns: { rows.take($0) == nil },
                row: { row in
                    bytes += row.readableBytes
                    rows.take(row)
                    return bytes <= limit
                },
                ended: { done($0.map { .failure($0) } ?? .success(rows)) }))
    }
}

/// Who gets the rows of a finished statement in the client's place.
struct RowTaker {
    /// False: they are not as they should be.
    var columns: ([RowDescription.Column]) -> Bool
    /// False: they are too many.
    var row: (ByteBuffer) -> Bool
    var ended: (ServerError?) -> Void
}
