internal import CPGQuery
internal import PGTypes
internal import SQLSyntax

/// PREPARE and EXECUTE.
enum PreparedPlanner {
    // MARK: PREPARE

    static func plan(
        prepare node: UnsafeMutablePointer<PgQuery__PrepareStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        let statement = request.statement
        guard let start = PreparedText.statementStart(of: statement) else { throw Refusal(.sqlPrepare, "PREPARE") }
        var types: [UInt32] = []
        for node in NodeList(node.pointee.n_argtypes, node.pointee.argtypes) { types.append(try type(node)) }
        let text = statement.owner.bytes
        let prepare = PrepareStatement(
            name: string(node.pointee.name), query: String(decoding: text[start..<statement.range.upperBound], as: UTF8.self),
            prefixLength: characters(in: text[..<start]), types: types)
        return StatementPlan(
            kind: .session, route: .session(.prepare(prepare)), writes: false, reuse: .text, reason: "the session's own statement")
    }

    private static func type(_ node: SQLNode) throws(Refusal) -> UInt32 {
        guard node.kind == PG_QUERY__NODE__NODE_TYPE_NAME, let type = node.pointee.type_name, type.pointee.setof == 0,
            type.pointee.pct_type == 0, let names = NodeList(type.pointee.n_names, type.pointee.names).strings, let last = names.last
        else { throw Refusal(.sqlPrepare, "a parameter's type") }
        let location = Int(type.pointee.location)
        guard names.count == 1 || names.count == 2 && names[0] == "pg_catalog" else { throw Refusal(.sqlPrepare, "type \(last)", at: location) }
        let isArray = type.pointee.n_array_bounds > 0
        // Modifiers mean nothing here, as in PostgreSQL. The types of users have another oid on each shard.
        guard let oid = BuiltInTypes.oid(of: isArray ? last + "[]" : last) else { throw Refusal(.sqlPrepare, "type \(last)", at: location) }
        return last == "unknown" && !isArray ? 0 : oid
    }

    // MARK: EXECUTE

    static func plan(
        execute node: UnsafeMutablePointer<PgQuery__ExecuteStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        guard let start = PreparedText.argumentsStart(of: request.statement) else { throw Refusal(.sqlPrepare, "EXECUTE") }
        return try plan(execute: node, tailStart: start, request)
    }

    /// The shard explains the statement that it has under the router's name: `EXPLAIN (…) EXECUTE pgm_7 (…)`.
    static func plan(
        explained node: UnsafeMutablePointer<PgQuery__ExecuteStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        guard let name = PreparedText.explainedName(of: request.statement) else { throw Refusal(.sqlPrepare, "EXPLAIN") }
        var plan = try plan(execute: node, tailStart: name.upperBound, request)
        guard case .session(.execute(var execute)) = plan.route else { return plan }
        execute.explainHead = String(decoding: request.statement.owner.bytes[request.statement.range.lowerBound..<name.lowerBound], as: UTF8.self)
        plan.route = .session(.execute(execute))
        // The options are literals: another text of the shape may have others.
        plan.reuse = .text
        return plan
    }

    private static func plan(
        execute node: UnsafeMutablePointer<PgQuery__ExecuteStmt>, tailStart start: Int, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        let analyzer = QueryAnalyzer(context: request.context, literals: request.literals, parameterTypes: [])
        var arguments: [ExecuteArgument] = []
        for node in NodeList(node.pointee.n_params, node.pointee.params) {
            try analyzer.analyze(expression: node, scope: Scope(parent: nil))
            arguments.append(argument(node, analyzer))
        }
        try check(analyzer.findings)
        let execute = ExecuteStatement(
            name: string(node.pointee.name), arguments: arguments, tailStart: start,
            tailStartCharacters: characters(in: request.statement.owner.bytes[..<start]))
        let isShared = !analyzer.findings.dependsOnText && !analyzer.literals.isEmpty && !arguments.contains(where: \.holdsValue)
        return StatementPlan(
            kind: .session, route: .session(.execute(execute)), writes: true, reuse: isShared ? .shape : .text,
            reason: "as the prepared statement")
    }

    /// Arguments are evaluated where the statement runs: they must mean the same on every shard.
    private static func check(_ findings: Findings) throws(Refusal) {
        if !findings.tables.isEmpty { throw Refusal(.sqlPrepare, "a table in EXECUTE's arguments") }
        if let function = findings.homeFunction { throw Refusal(.sqlPrepare, "\(function) in EXECUTE's arguments") }
    }

    private static func argument(_ node: SQLNode, _ analyzer: QueryAnalyzer) -> ExecuteArgument {
        var keys: [KeyType: KeySource] = [:]
        var arrays: [KeyType: [KeySource]] = [:]
        for type in KeyType.allCases {
            switch analyzer.keyOperand(node, type: type) {
            case .null: return .null
            case .sources(let sources):
                // A parameter of the client's own: PostgreSQL has none in EXECUTE, and says so.
                if sources.count == 1, !isParameter(sources[0]) { keys[type] = sources[0] }
            case .wrongType, .notConstant: break
            }
            if case .sources(let sources) = analyzer.keyArray(node, type: type), !sources.contains(where: isParameter) { arrays[type] = sources }
        }
        guard keys.isEmpty, arrays.isEmpty else { return .constant(keys, arrays: arrays) }
        return node.kind == PG_QUERY__NODE__NODE_A_CONST ? .constant([:], arrays: [:]) : .expression
    }

    private static func isParameter(_ source: KeySource) -> Bool {
        switch source {
        case .parameter, .parameterArray: true
        case .token, .literal, .constant: false
        }
    }

    private static func characters(in bytes: ArraySlice<UInt8>) -> Int { bytes.count { $0 & 0xC0 != 0x80 } }
}

extension ExecuteArgument {
    /// A value of this very text, where other texts of the shape may have another.
    fileprivate var holdsValue: Bool {
        guard case .constant(let keys, let arrays) = self else { return false }
        return (Array(keys.values) + arrays.values.joined()).contains { if case .constant = $0 { true } else { false } }
    }
}

extension StatementPlanner {
    /// How many parameters a prepared statement has: PostgreSQL counts up to the highest number in it.
    package static func parameterCount(ofPrepared bytes: [UInt8], declared: Int) -> Int {
        var count = declared
        for statement in (try? ParsedSQL.parse(bytes: bytes).statements) ?? [] {
            statement.node.forEachNode { node in
                if node.kind == PG_QUERY__NODE__NODE_PARAM_REF { count = max(count, Int(node.pointee.param_ref.pointee.number)) }
                return true
            }
        }
        return count
    }
}
