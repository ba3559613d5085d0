internal import CPGQuery
package import SQLSyntax

extension StatementPlanner {
    /// What a write for several shards asks of the clock. Throws where the shards would come to different moments, and nothing can be written in their place.
    ///
    /// - bytes: a text that has a plan.
    package static func moment(bytes: [UInt8], parameterTypes: [UInt32] = [], context: PlanningContext, limits: ParsedSQL.Limits = .init()) throws(Refusal) -> MomentUse {
        guard let statements = try? ParsedSQL.parse(bytes: bytes, limits: limits).statements, statements.count == 1, let statement = statements.first else { throw Refusal(.manyShards) }
        let analyzer = QueryAnalyzer(context: context, literals: LiteralMap(ranges: nil, text: statement.owner.bytes), parameterTypes: parameterTypes)
        _ = try analyzer.analyze(statement: statement.node, parent: nil)
        return try MomentReader(statement.node, analyzer).use()
    }
}

/// Finds the places in a statement's text that ask for the moment.
struct MomentReader {
    private let statement: SQLNode
    private let analyzer: QueryAnalyzer

    init(_ statement: SQLNode, _ analyzer: QueryAnalyzer) { (self.statement, self.analyzer) = (statement, analyzer) }

    func use() throws(Refusal) -> MomentUse {
        let findings = analyzer.findings
        if let literal = findings.temporalLiterals.first(where: { !findings.timelessNodes.contains($0) }) {
            throw Refusal(.manyShards, "a text that names the present", at: Int(literal.pointee.a_const.pointee.location))
        }
        if let hidden = findings.hiddenMoment { throw Refusal(.manyShards, hidden.subject, at: hidden.location) }
        let names = try namesOfReturned()
        let text = Array(analyzer.literals.text)
        var places: [MomentUse.Place] = []
        // A WITH query that is named twice is looked at twice.
        var seen: Set<Int> = []
        for call in findings.moments where seen.insert(call.location).inserted {
            guard let place = call.place(in: text, name: names[call.location]) else { throw Refusal(.manyShards, "now()", at: call.location) }
            places.append(place)
        }
        return MomentUse(places: places.sorted { $0.range.lowerBound < $1.range.lowerBound }, clockParameters: GatherPlanner.clockParameters(findings))
    }

    /// The names of RETURNING's columns that are a moment and nothing else, by its place.
    private func namesOfReturned() throws(Refusal) -> [Int: String] {
        var names: [Int: String] = [:]
        for target in Self.returned(statement) where target.kind == PG_QUERY__NODE__NODE_RES_TARGET && string(target.pointee.res_target.pointee.name).isEmpty {
            var value = target.pointee.res_target.pointee.val
            var isCast = false
            while let cast = value, cast.kind == PG_QUERY__NODE__NODE_TYPE_CAST { (value, isCast) = (cast.pointee.type_cast.pointee.arg, true) }
            guard let found = value, let (location, name) = Self.name(of: found) else { continue }
            // The name would stand inside of the cast.
            if isCast, analyzer.findings.moments.contains(where: { $0.location == location }) { throw Refusal(.manyShards, "now() in RETURNING without a name", at: location) }
            names[location] = name
        }
        return names
    }

    private static func name(of node: SQLNode) -> (Int, String)? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_FUNC_CALL:
            let call = node.pointee.func_call!
            guard let name = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings?.last else { return nil }
            return (Int(call.pointee.location), name)
        case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
            let value = node.pointee.sqlvalue_function!
            let names: [String] = ["current_date", "current_time", "current_time", "current_timestamp", "current_timestamp", "localtime", "localtime", "localtimestamp", "localtimestamp"]
            let place = Int(value.pointee.op.rawValue) - Int(PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE.rawValue)
            return names.indices.contains(place) ? (Int(value.pointee.location), names[place]) : nil
        default: return nil
        }
    }

    private static func returned(_ statement: SQLNode) -> NodeList {
        switch statement.kind {
        case PG_QUERY__NODE__NODE_UPDATE_STMT: NodeList(statement.pointee.update_stmt.pointee.n_returning_list, statement.pointee.update_stmt.pointee.returning_list)
        case PG_QUERY__NODE__NODE_DELETE_STMT: NodeList(statement.pointee.delete_stmt.pointee.n_returning_list, statement.pointee.delete_stmt.pointee.returning_list)
        case PG_QUERY__NODE__NODE_INSERT_STMT: NodeList(statement.pointee.insert_stmt.pointee.n_returning_list, statement.pointee.insert_stmt.pointee.returning_list)
        default: NodeList(0, nil)
        }
    }
}
