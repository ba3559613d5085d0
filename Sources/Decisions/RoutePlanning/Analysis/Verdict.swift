internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

/// Turns what an analysis found into a route, or a refusal.
struct Verdict {
    var route: Route
    var reason: String
    var writes: Bool
    var mayReadReplica: Bool
    var reuse: StatementPlan.Reuse
    var keyLengthMax: Int?
    var spread: Spread?

    /// - mayGather: every shard may be asked for its own rows.
    /// - isWhole: the query is the statement, and not a part of one (COPY, EXPLAIN, DECLARE), which may need what a plan of all numbers leaves out.
    init(_ analyzer: QueryAnalyzer, statement: SQLNode, mayGather: Bool, isWhole: Bool) throws(Refusal) {
        let findings = analyzer.findings
        writes = findings.hasEffect
        // What the system's catalogs and views show is partly one server's own.
        mayReadReplica = !writes && !findings.needsPrimary && findings.catalogs.isEmpty
        reuse = findings.dependsOnText || analyzer.literals.isEmpty ? .text : .shape
        keyLengthMax = findings.keyLengthMax
        if !findings.sharded.isEmpty {
            let sources: [KeySource]
            do throws(Refusal) {
                sources = try Self.keys(analyzer, statement)
            } catch {
                guard mayGather, error.code == .noKey else { throw error }
                let mayShare = isWhole && reuse == .shape
                // A literal of another text of the shape could be read from the clock; and no replica is asked.
                (reuse, mayReadReplica) = (.text, false)
                if let write = EveryKeyPlanner.plan(statement, analyzer) ?? GatherPlanner.effects(statement, analyzer) ?? InsertedRowsPlanner.plan(statement, analyzer) ?? MergePlanner.plan(statement, analyzer) {
                    route = .everyKey(write)
                    reason = "\(findings.sharded[0].name): each shard \(write.rule == .rowsLocked ? "locks" : "writes") the rows of its own keys (\(write.rule.rawValue))"
                } else if let gather = try StatementPlanner.across(statement, analyzer) {
                    let shared = mayShare ? gather.ofShape(analyzer.literals) : nil
                    if shared != nil { reuse = .shape }
                    route = .gatherRows(shared ?? gather)
                    reason = "\(findings.sharded[0].name): \(gather.isFinished ? "its rows are brought to the home shard" : "each shard answers for its own keys")"
                } else {
                    throw error
                }
                return
            }
            route = .keyed(sources)
            reason = Self.keyReason(findings, sources)
            spread = Self.spread(analyzer, statement)
            if sources.contains(where: { if case .constant = $0 { true } else { false } }) { reuse = .text }
        } else if !findings.writtenReferences.isEmpty {
            let parameters = try Self.checkReferenceWrite(findings)
            var everyShard = EveryShard(reason: .referenceWrite, clockParameters: parameters)
            // One query about one table reads the rows that it locks. MERGE inserts where it has found none.
            if analyzer.queries > 1 || findings.references.count > 1 || statement.kind == PG_QUERY__NODE__NODE_MERGE_STMT { everyShard.readTables = findings.references.sorted() }
            route = .everyShard(everyShard)
            reason = "\(Self.list(findings.writtenReferences)) is a reference table: written on every shard"
            reuse = .text
        } else if !findings.locals.isEmpty || !findings.catalogs.isEmpty || findings.homeFunction != nil {
            route = .homeShard
            reason = Self.homeReason(findings)
        } else if !findings.references.isEmpty {
            // Who locks or writes a reference row meets everybody else on the home shard.
            route = findings.locksRows ? .homeShard : .anyShard
            reason =
                findings.locksRows
                ? "rows of reference tables are locked on the home shard"
                : "\(Self.list(findings.references)): every shard has a copy"
        } else {
            route = .currentShard
            reason = "no table"
        }
    }

    // MARK: sharded tables

    private static func keys(_ analyzer: QueryAnalyzer, _ statement: SQLNode) throws(Refusal) -> [KeySource] {
        let findings = analyzer.findings
        try checkCompany(findings)
        let known = analyzer.bindings.solve()
        var result: [KeySource] = []
        var seen: Set<KeySource> = []
        for table in findings.sharded {
            guard let sources = known[table.slot] else {
                if let problem = findings.keyProblem { throw problem }
                throw Refusal(.noKey, "\(table.name).\(table.key)", at: table.location)
            }
            for source in sources where seen.insert(source).inserted { result.append(source) }
        }
        try ParameterTypes(analyzer).check(result, in: statement)
        return result
    }

    /// How a write whose keys live on several shards runs: nil where one shard's rows could decide about another's.
    ///
    /// One sharded table, mentioned once, is what makes each row's fate its own. A subquery is asked once by one PostgreSQL and once by each of
    /// several, so it must give the same everywhere. UPDATE and DELETE with other tables need the proof of those without a key (`WriteRule`).
    private static func spread(_ analyzer: QueryAnalyzer, _ statement: SQLNode) -> Spread? {
        if EveryKeyPlanner.plan(statement, analyzer) != nil || InsertedRowsPlanner.plan(statement, analyzer) != nil || MergePlanner.plan(statement, analyzer) != nil { return .sameText }
        let findings = analyzer.findings
        guard findings.sharded.count == 1, !findings.locksRows || findings.writesSharded, !findings.traces.readsSequences else { return nil }
        // A function in FROM is called once, on each shard.
        let isPlain = analyzer.queries == 1 && findings.references.isEmpty && !EveryKeyPlanner.hasSources(statement)
        guard isPlain || findings.nondeterminism == nil && findings.usesRowsInOrder == nil else { return nil }
        switch statement.kind {
        case PG_QUERY__NODE__NODE_UPDATE_STMT where statement.pointee.update_stmt.pointee.with_clause == nil,
            PG_QUERY__NODE__NODE_DELETE_STMT where statement.pointee.delete_stmt.pointee.with_clause == nil:
            return .sameText
        case PG_QUERY__NODE__NODE_INSERT_STMT:
            let insert = statement.pointee.insert_stmt!
            guard insert.pointee.with_clause == nil, !findings.callsSetFunction, let source = insert.pointee.select_stmt,
                source.kind == PG_QUERY__NODE__NODE_SELECT_STMT, source.pointee.select_stmt.pointee.n_values_lists > 1,
                source.pointee.select_stmt.pointee.n_values_lists == findings.insertedKeys.count
            else { return nil }
            return .rows(findings.insertedKeys, areIndependent: insert.pointee.on_conflict_clause == nil)
        default: return nil
        }
    }

    /// What a sharded table cannot be used with.
    private static func checkCompany(_ findings: Findings) throws(Refusal) {
        if let local = findings.locals.min() { throw Refusal(.mixedPlacements, local.description) }
        if let catalog = findings.catalogs.min() { throw Refusal(.catalogJoin, catalog.description) }
        if let sequence = findings.usesSequence { throw Refusal(.sequenceFunction, at: sequence) }
        if let column = findings.shardedSequence { throw Refusal(.sequenceFunction, column) }
        if let function = findings.homeFunction { throw Refusal(.serverFunction, function) }
        if let written = findings.writtenReferences.min() { throw Refusal(.referenceWriteSource, written.description) }
        if findings.lockedReference != nil {
            throw Refusal(.referenceLock, findings.references.min()?.description ?? "")
        }
    }

    // MARK: reference tables

    /// Every shard must come to the same rows. Returns the parameters that must not be texts such as 'now'.
    private static func checkReferenceWrite(_ findings: Findings) throws(Refusal) -> [Int] {
        if let local = findings.locals.min() { throw Refusal(.mixedPlacements, local.description) }
        if let catalog = findings.catalogs.min() { throw Refusal(.catalogJoin, catalog.description) }
        if let found = findings.nondeterminism { throw Refusal(found.code, found.subject, at: found.location) }
        if let order = findings.usesRowsInOrder {
            throw Refusal(.unorderedReferenceWrite, order.subject, at: order.location)
        }
        if let literal = findings.temporalLiterals.first(where: { !findings.timelessNodes.contains($0) }) {
            throw Refusal(
                .volatileReferenceWrite, "a text that names the present", at: Int(literal.pointee.a_const.pointee.location))
        }
        let numbers = findings.parameters.filter { !findings.timelessNodes.contains($0) }
            .map { Int($0.pointee.param_ref.pointee.number) }
        return Set(numbers).sorted()
    }

    // MARK: words

    private static func keyReason(_ findings: Findings, _ sources: [KeySource]) -> String {
        let table = findings.sharded[0]
        let values = sources.prefix(4).map(\.description).joined(separator: ", ")
        return "\(table.name).\(table.key) = \(values)\(sources.count > 4 ? ", …" : "")"
    }

    private static func homeReason(_ findings: Findings) -> String {
        if !findings.locals.isEmpty { return "\(list(findings.locals)): local tables live on the home shard" }
        if !findings.catalogs.isEmpty { return "system catalogs are read on the home shard" }
        return "\(findings.homeFunction ?? "") runs on the home shard"
    }

    private static func list(_ names: Set<QualifiedName>) -> String {
        names.sorted().map(\.description).joined(separator: ", ")
    }
}

extension Findings {
    /// The statement writes, or locks, or may.
    var hasEffect: Bool {
        writesSharded || !writtenReferences.isEmpty || !writtenLocals.isEmpty || locksRows || hasSideEffect
    }
}

extension KeySource {
    /// Where the key comes from; never its value.
    package var description: String {
        switch self {
        case .token, .constant, .literal: "literal"
        case .parameter(let number, _): "$\(number)"
        case .parameterArray(let number, _): "ANY($\(number))"
        }
    }
}

/// Makes sure that PostgreSQL gives a key's parameter the type by which the router reads its bytes.
struct ParameterTypes {
    private let analyzer: QueryAnalyzer

    init(_ analyzer: QueryAnalyzer) { self.analyzer = analyzer }

    /// The first place that an undeclared parameter stands in decides its type. So all of them must ask for the key's type.
    func check(_ sources: [KeySource], in statement: SQLNode) throws(Refusal) {
        var types: [Int: KeyType] = [:]
        for case .parameter(let number, let type) in sources where analyzer.declaredType(number) == 0 { types[number] = type }
        var arrays: Set<Int> = []
        for case .parameterArray(let number, _) in sources where analyzer.declaredType(number) == 0 { arrays.insert(number) }
        guard !types.isEmpty || !arrays.isEmpty else { return }
        var places: [Int: [SQLNode]] = [:]
        statement.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_PARAM_REF {
                places[Int(node.pointee.param_ref.pointee.number), default: []].append(node)
            }
            return true
        }
        for (number, type) in types where places[number, default: []].count > 1 {
            for place in places[number, default: []] where analyzer.settledParameters[place] != type {
                throw Refusal(.keyType, "$\(number)", at: Int(place.pointee.param_ref.pointee.location))
            }
        }
        for number in arrays where places[number, default: []].count > 1 { throw Refusal(.keyType, "$\(number)") }
    }
}
