internal import SQLSyntax
internal import ShardModel

extension StatementPlanner {
    /// The plan of a simple query that holds several statements: where all of them read or write rows, and of one shard only, that shard gets the
    /// text as it is, and PostgreSQL runs it as the one transaction that it is. Otherwise they are planned one by one as they run, because what one
    /// of them means may depend on those before it.
    static func plan(several statements: [ParsedStatement], literals: LiteralRanges?, context: PlanningContext) -> StatementPlan {
        do throws(Refusal) {
            var list = StatementList()
            for statement in statements { try list.add(plan(statement, literals: literals, context: context)) }
            return try list.plan()
        } catch {
            var plan = StatementPlan(kind: .utility, route: .statements, writes: true, reuse: .text, reason: "\(statements.count) statements, one after another")
            plan.isList = true
            return plan
        }
    }
}

/// What the statements of one text need together.
private struct StatementList {
    private var count = 0
    private var keys: [KeySource] = []
    /// Of the plans that have one; two different ones cannot be told apart once the keys are together.
    private var keyLengthMax: Int??
    private var needsHome = false
    private var readsReference = false
    private var kind: StatementKind?
    private var writes = false
    private var mayReadReplica = true
    private var fitsShape = true
    private var tables: [QualifiedName] = []

    mutating func add(_ plan: StatementPlan) throws(Refusal) {
        switch plan.kind {
        case .select, .insert, .update, .delete: break
        default: throw Refusal(.statementList)
        }
        // What it leaves behind would have to be looked for in the middle of the list.
        guard plan.traces == .none else { throw Refusal(.statementList) }
        // It is looked for when it runs: a statement before it may make it.
        guard !plan.lacksSchema else { throw Refusal(.statementList) }
        switch plan.route {
        case .keyed(let sources):
            if let known = keyLengthMax, known != plan.keyLengthMax { throw Refusal(.statementList) }
            keyLengthMax = .some(plan.keyLengthMax)
            keys += sources
        case .homeShard: needsHome = true
        case .anyShard: readsReference = true
        case .currentShard: break
        default: throw Refusal(.statementList)
        }
        switch plan.reuse {
        case .shape: break
        case .text, .never: fitsShape = false
        }
        count += 1
        // The metrics' label: what writes is what counts.
        if kind == nil || plan.writes && !writes { kind = plan.kind }
        writes = writes || plan.writes
        mayReadReplica = mayReadReplica && plan.mayReadReplica
        for table in plan.tables where !tables.contains(table) { tables.append(table) }
    }

    func plan() throws(Refusal) -> StatementPlan {
        if needsHome, !keys.isEmpty { throw Refusal(.statementList) }
        let route: Route = !keys.isEmpty ? .keyed(keys) : needsHome ? .homeShard : readsReference ? .anyShard : .currentShard
        var plan = StatementPlan(
            kind: kind ?? .utility, route: route, writes: writes, mayReadReplica: mayReadReplica, reuse: fitsShape ? .shape : .text, tables: tables,
            keyLengthMax: keyLengthMax ?? nil,
            reason: "\(count) statements of one shard")
        plan.isList = true
        return plan
    }
}
