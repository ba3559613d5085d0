package import SQLSyntax

internal import CPGQuery

/// Decides where a statement goes, or why it is refused. Pure: the parse tree, the schema and the placements in, a plan out.
package enum StatementPlanner {
    /// The plan of one parsed statement.
    ///
    /// - literals: the literals of the whole query string as `StatementShape` counts them, so that key values are named by their place in the
    ///   text and the plan fits every statement of the shape; nil plans this very text.
    /// - parameterTypes: type oids the client declared in Parse; 0 or absent: undeclared.
    package static func plan(
        _ statement: ParsedStatement, literals: LiteralRanges? = nil, parameterTypes: [UInt32] = [],
        context: PlanningContext
    ) throws(Refusal) -> StatementPlan {
        let request = PlanningRequest(
            statement: statement, literals: LiteralMap(ranges: literals, text: statement.owner.bytes),
            parameterTypes: parameterTypes, context: context)
        var plan = try placed(statement.node, request)
        if context.keepsSequences { SequenceUse.note(statement.node, in: &plan, context) }
        return plan
    }

    private static func placed(_ node: SQLNode, _ request: PlanningRequest) throws(Refusal) -> StatementPlan {
        guard request.context.shardCount == 1 else {
            do throws(Refusal) {
                return try plan(node, request)
            } catch {
                if let plan = try planExpanded(request, refused: error) { return plan }
                throw error
            }
        }
        do throws(Refusal) {
            return SingleShardPlanner.simplified(try plan(node, request), node, request.context)
        } catch {
            return try SingleShardPlanner.plan(node, request, refused: error)
        }
    }

    static func plan(_ node: SQLNode, _ request: PlanningRequest) throws(Refusal) -> StatementPlan {
        switch node.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT:
            if let plan = try MosaicPlanner.plan(node.pointee.select_stmt, request) { return plan }
            if let plan = try SessionPlanner.plan(setConfig: node.pointee.select_stmt) { return plan }
            if let plan = try TemporaryPlanner.plan(node, request) { return plan }
            return try planQuery(node, .select, request, mayGather: true)
        case PG_QUERY__NODE__NODE_INSERT_STMT:
            do throws(Refusal) {
                return try planQuery(node, .insert, request, mayGather: true)
            } catch {
                guard let plan = SentRowsPlanner.plan(node, request, refused: error) ?? KeysFirstPlanner.plan(node, request, refused: error) else { throw error }
                return plan
            }
        case PG_QUERY__NODE__NODE_UPDATE_STMT:
            do throws(Refusal) {
                return try planQuery(node, .update, request, mayGather: true)
            } catch {
                guard let plan = MovedRowsPlanner.plan(node, request, refused: error) else { throw error }
                return plan
            }
        case PG_QUERY__NODE__NODE_DELETE_STMT: return try planQuery(node, .delete, request, mayGather: true)
        case PG_QUERY__NODE__NODE_MERGE_STMT:
            // One shard takes it as it is, but for keys that may be NULL.
            guard request.context.shardCount > 1 else { throw Refusal(.merge) }
            return try planQuery(node, .merge, request, mayGather: true)
        case PG_QUERY__NODE__NODE_COPY_STMT: return try CopyPlanner.plan(node.pointee.copy_stmt, request)
        case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
            return try TransactionPlanner.plan(node.pointee.transaction_stmt, request)
        case PG_QUERY__NODE__NODE_EXPLAIN_STMT: return try ExplainPlanner.plan(node.pointee.explain_stmt, request)
        case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
            return try CursorPlanner.plan(declare: node.pointee.declare_cursor_stmt, request)
        case PG_QUERY__NODE__NODE_FETCH_STMT, PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
            return CursorPlanner.plan(use: node)
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
            if let plan = try TemporaryPlanner.plan(node, request) { return plan }
            throw Refusal(.createTableAs)
        default:
            if let plan = try SessionPlanner.plan(node, request) { return plan }
            if let plan = try MaintenancePlanner.plan(node, request) { return plan }
            return try planDefinition(request)
        }
    }

    /// SELECT, INSERT, UPDATE, DELETE.
    static func planQuery(
        _ node: SQLNode, _ kind: StatementKind, _ request: PlanningRequest, mayGather: Bool = false
    ) throws(Refusal) -> StatementPlan {
        let analyzer = QueryAnalyzer(
            context: request.context, literals: request.literals, parameterTypes: request.parameterTypes)
        analyzer.topOutput = try analyzer.analyze(statement: node, parent: nil)
        analyzer.noteTemporaryNames(in: node)
        let verdict = try Verdict(analyzer, statement: node, mayGather: mayGather, isWhole: node == request.statement.node)
        var plan = StatementPlan(
            kind: kind, route: verdict.route, writes: verdict.writes, mayReadReplica: kind == .select && verdict.mayReadReplica,
            reuse: verdict.reuse, tables: analyzer.findings.tables, keyLengthMax: verdict.keyLengthMax,
            spread: verdict.spread, reason: verdict.reason)
        plan.traces = analyzer.findings.traces
        plan.readsMoment = !analyzer.findings.moments.isEmpty
        if let subject = analyzer.findings.defaultOfDrawn {
            guard request.context.keepsSequences else { throw Refusal(.sessionFunction, subject) }
            plan.traces.readsSequences = true
            plan.spread = nil
        }
        if request.context.keepsSequences { plan.traces.drawsSequences = analyzer.findings.drawsSequences }
        return plan
    }
}

/// One call's inputs, handed from planner to planner.
struct PlanningRequest {
    var statement: ParsedStatement
    var literals: LiteralMap
    var parameterTypes: [UInt32]
    var context: PlanningContext
}
