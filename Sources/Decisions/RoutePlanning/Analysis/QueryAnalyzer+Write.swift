internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

extension QueryAnalyzer {
    func analyze(update: UnsafeMutablePointer<PgQuery__UpdateStmt>, parent: Scope?) throws(Refusal) -> QueryOutput {
        try enterQuery()
        let scope = Scope(parent: parent)
        let commons = try register(update.pointee.with_clause, scope: scope)
        let start = bindings.end
        let target = try entry(for: update.pointee.relation, use: .update)
        add(FromItem(target), to: scope)
        try analyze(from: NodeList(update.pointee.n_from_clause, update.pointee.from_clause), scope: scope)
        if update.pointee.n_from_clause > 0 { findings.noteOrder("UPDATE … FROM", isOnTop: parent == nil) }
        try finishWrite(update.pointee.where_clause, scope: scope, own: start..<bindings.end)
        try analyze(
            assignments: NodeList(update.pointee.n_target_list, update.pointee.target_list), target: target, scope: scope,
            table: update.pointee.relation)
        let output = try returning(NodeList(update.pointee.n_returning_list, update.pointee.returning_list), scope: scope)
        try finish(commons)
        return output
    }

    func analyze(delete: UnsafeMutablePointer<PgQuery__DeleteStmt>, parent: Scope?) throws(Refusal) -> QueryOutput {
        try enterQuery()
        let scope = Scope(parent: parent)
        let commons = try register(delete.pointee.with_clause, scope: scope)
        let start = bindings.end
        let target = try entry(for: delete.pointee.relation, use: .delete)
        add(FromItem(target), to: scope)
        try analyze(from: NodeList(delete.pointee.n_using_clause, delete.pointee.using_clause), scope: scope)
        try finishWrite(delete.pointee.where_clause, scope: scope, own: start..<bindings.end)
        let output = try returning(NodeList(delete.pointee.n_returning_list, delete.pointee.returning_list), scope: scope)
        try finish(commons)
        return output
    }

    private func finishWrite(_ condition: SQLNode?, scope: Scope, own: Range<Slot>) throws(Refusal) {
        guard let condition else { return }
        try analyze(expression: condition, scope: scope)
        restrict(by: condition, scope: scope, own: own)
    }

    func returning(_ list: NodeList, scope: Scope) throws(Refusal) -> QueryOutput {
        var output = QueryOutput(columns: [], isTransparent: false)
        for target in list { try add(target: target, to: &output, scope: scope) }
        return output
    }

    /// SET of UPDATE and of ON CONFLICT. The key stays.
    func analyze(
        assignments: NodeList, target: RangeEntry, scope: Scope, table: RangeVarNode
    ) throws(Refusal) {
        let resolved = try TableResolver(context: context).resolve(table)
        for assignment in assignments {
            guard assignment.kind == PG_QUERY__NODE__NODE_RES_TARGET else { throw Refusal(.unsupported, assignment.kindName) }
            let name = string(assignment.pointee.res_target.pointee.name)
            if case .sharded(name) = resolved.placement {
                throw Refusal(
                    .keyUpdate, "\(resolved.name).\(name)", at: Int(assignment.pointee.res_target.pointee.location))
            }
            try analyze(subscriptsOf: assignment, scope: scope)
            guard let value = assignment.pointee.res_target.pointee.val else { continue }
            let column = resolved.relation?.columns.first { $0.name == name }
            settleAssignment(of: value, to: column)
            if value.kind == PG_QUERY__NODE__NODE_SET_TO_DEFAULT { noteDefault(column, of: resolved) }
            try analyze(expression: value, scope: scope)
        }
    }

    /// `SET a[(SELECT …)] = …`: subscripts of a target are expressions like any other.
    func analyze(subscriptsOf target: SQLNode, scope: Scope) throws(Refusal) {
        let target = target.pointee.res_target!
        for node in NodeList(target.pointee.n_indirection, target.pointee.indirection) { try analyze(expression: node, scope: scope) }
    }

    /// A value assigned directly to a column: its type is the column's.
    func settleAssignment(of value: SQLNode, to column: Column?) {
        guard let column else { return }
        if !TypeFamily.mayReadClock(column.typeOID) { findings.timelessNodes.insert(value) }
        if value.kind == PG_QUERY__NODE__NODE_PARAM_REF, let type = KeyType(typeOID: column.typeOID) {
            settledParameters[value] = type
        }
    }

    /// The default of a column that the statement leaves to PostgreSQL.
    func noteDefault(_ column: Column?, of table: ResolvedTable) {
        guard let column else { return }
        if column.defaultIsVolatile || column.usesSequence {
            findings.noteDifferingDefault("default of \(table.name).\(column.name)")
        }
        if SequenceUse.tellsOfDrawn(column) { findings.defaultOfDrawn = findings.defaultOfDrawn ?? "default of \(table.name).\(column.name)" }
        if SequenceUse.mayDraw(column, context) { findings.drawsSequences = true }
        if column.usesWholeSequence, case .sharded = table.placement { findings.shardedSequence = "\(table.name).\(column.name)" }
    }
}
