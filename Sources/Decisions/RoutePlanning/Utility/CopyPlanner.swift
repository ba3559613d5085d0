internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

/// COPY, to and from the client.
enum CopyPlanner {
    static func plan(
        _ copy: UnsafeMutablePointer<PgQuery__CopyStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        guard copy.pointee.is_program == 0, string(copy.pointee.filename).isEmpty else { throw Refusal(.copyFile) }
        if let query = copy.pointee.query { return try plan(query: query, request) }
        guard let relation = copy.pointee.relation else { throw Refusal(.unsupported, "COPY") }
        let table = try TableResolver(context: request.context).resolve(relation)
        if let relation = table.relation, relation.hasRowSecurity, table.placement != .local {
            throw Refusal(.rowSecurity, table.name.description)
        }
        var plan =
            copy.pointee.is_from != 0
            ? try planFrom(copy, table, request.context) : try planTo(copy, table)
        plan.tables = [table.name]
        if table.name.isTemporary { plan.traces.formUnion(.temporaryUse) }
        return plan
    }

    private static func copy(_ route: Route, writes: Bool, _ reason: String) -> StatementPlan {
        StatementPlan(kind: .copy, route: route, writes: writes, reuse: .text, reason: reason)
    }

    // MARK: TO STDOUT

    private static func plan(query: SQLNode, _ request: PlanningRequest) throws(Refusal) -> StatementPlan {
        switch query.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT, PG_QUERY__NODE__NODE_INSERT_STMT, PG_QUERY__NODE__NODE_UPDATE_STMT,
            PG_QUERY__NODE__NODE_DELETE_STMT: break
        default: throw Refusal(.unsupported, query.kindName)
        }
        let mayGather = query.kind == PG_QUERY__NODE__NODE_SELECT_STMT
        var plan = try StatementPlanner.planQuery(query, .copy, request, mayGather: mayGather)
        switch plan.route {
        case .everyShard: throw Refusal(.unsupported, "COPY of a write to a reference table")
        case .gatherRows(let gather):
            guard let finished = finished(gather) else { throw Refusal(.noKey, plan.tables.first?.description ?? "") }
            plan.route = .gatherRows(finished)
        // Locks of rows are taken shard by shard, and their rows are not brought together.
        case .everyKey: throw Refusal(.noKey, plan.tables.first?.description ?? "")
        default: break
        }
        return plan
    }

    /// The home shard makes the copy of rows that are brought to it: every option of COPY is about the whole of them. nil: they cannot be.
    static func finished(_ gather: GatherRows) -> GatherRows? {
        guard var finish = gather.finish else { return nil }
        finish.output = .copy
        return GatherRows(finish: finish, clockParameters: [])
    }

    private static func planTo(
        _ copy: UnsafeMutablePointer<PgQuery__CopyStmt>, _ table: ResolvedTable
    ) throws(Refusal) -> StatementPlan {
        switch table.placement {
        case .sharded:
            let options = try CopyOptions(NodeList(copy.pointee.n_options, copy.pointee.options))
            let gather = GatherCopy(
                table: table.name, isBinary: options.isBinary, hasHeaderLine: options.hasHeader && !options.isBinary)
            return self.copy(.gatherCopy(gather), writes: false, "\(table.name): the rows of every shard")
        case .reference: return self.copy(.anyShard, writes: false, "\(table.name): every shard has a copy")
        case .local: return self.copy(.homeShard, writes: false, "\(table.name) lives on the home shard")
        }
    }

    // MARK: FROM STDIN

    private static func planFrom(
        _ copy: UnsafeMutablePointer<PgQuery__CopyStmt>, _ table: ResolvedTable, _ context: PlanningContext
    ) throws(Refusal) -> StatementPlan {
        guard let relation = table.relation, relation.kind == .table || relation.kind == .partitioned else {
            throw Refusal(.relationKind, table.name.description)
        }
        // Whatever its options are: PostgreSQL reads them.
        guard table.placement != .local else {
            return self.copy(.homeShard, writes: true, "\(table.name) lives on the home shard")
        }
        if let condition = copy.pointee.where_clause { try check(condition, table, relation, context) }
        let options = try CopyOptions(NodeList(copy.pointee.n_options, copy.pointee.options))
        let columns = NodeList(copy.pointee.n_attlist, copy.pointee.attlist).strings.flatMap { $0.isEmpty ? nil : $0 }
            ?? relation.columns.filter { !$0.isGenerated }.map(\.name)
        let omitted = relation.columns.filter { !columns.contains($0.name) && !$0.isGenerated }
        if case .sharded(let key) = table.placement {
            try options.checkReadable()
            if let column = omitted.first(where: \.usesWholeSequence) {
                throw Refusal(.sequenceFunction, "\(table.name).\(column.name)")
            }
            let split = try split(table.name, relation, key: key, columns: columns, options)
            return self.copy(.splitCopy(split), writes: true, "rows are split by \(table.name).\(key)")
        }
        if relation.hasTriggers { throw Refusal(.referenceTrigger, table.name.description) }
        if let column = omitted.first(where: { $0.defaultIsVolatile || $0.usesSequence }) {
            throw Refusal(.volatileReferenceWrite, "default of \(table.name).\(column.name)")
        }
        let broadcast = BroadcastCopy(table: table.name, clocks: try clocks(table.name, relation, columns: columns, options))
        return self.copy(.broadcastCopy(broadcast), writes: true, "\(table.name) is a reference table: copied to every shard")
    }

    /// Each shard leaves out rows by itself: it must leave out those that one PostgreSQL would.
    private static func check(
        _ condition: SQLNode, _ table: ResolvedTable, _ relation: Relation, _ context: PlanningContext
    ) throws(Refusal) {
        let reader = DefinitionReader(context: context, placement: table.placement)
        let nature = try DefinitionExpression(condition, scope: reader.scope(of: relation), context, table.placement)
        guard !nature.usesSequence, nature.isDeterministic else {
            throw Refusal(table.placement == .reference ? .volatileReferenceWrite : .copyOption, "WHERE")
        }
    }

    private static func split(
        _ table: QualifiedName, _ relation: Relation, key: String, columns: [String], _ options: CopyOptions
    ) throws(Refusal) -> SplitCopy {
        guard let column = relation.columns.first(where: { $0.name == key }) else {
            throw Refusal(.keyColumn, "\(table).\(key)")
        }
        guard column.hasDeterministicCollation, let type = KeyType(typeOID: column.typeOID) else {
            throw Refusal(.keyDefinition, "\(table).\(key)")
        }
        guard let position = columns.firstIndex(of: key) else { throw Refusal(.keyMissing, "\(table).\(key)") }
        var split = reader(of: position, table, columns: columns, type, options)
        split.keyTypeOID = column.typeOID
        split.keyLengthMax = KeyLength.maximum(of: column)
        return split
    }

    /// Readers of the columns in which 'now' would be another moment on each shard. Binary data name no moment by a word.
    private static func clocks(
        _ table: QualifiedName, _ relation: Relation, columns: [String], _ options: CopyOptions
    ) throws(Refusal) -> [SplitCopy] {
        guard !options.isBinary else { return [] }
        let positions = columns.indices.filter { position in
            guard let column = relation.columns.first(where: { $0.name == columns[position] }) else { return true }
            return TypeFamily.mayReadClock(column.typeOID)
        }
        if !positions.isEmpty { try options.checkReadable() }
        return positions.map { position in
            var reader = reader(of: position, table, columns: columns, .text, options)
            reader.purpose = .clock
            return reader
        }
    }

    private static func reader(
        of position: Int, _ table: QualifiedName, columns: [String], _ type: KeyType, _ options: CopyOptions
    ) -> SplitCopy {
        let name = columns[position]
        return SplitCopy(
            table: table, format: options.isBinary ? .binary : options.isCSV ? .csv : .text, keyColumn: position,
            columnCount: columns.count, keyType: type, encoding: options.encoding ?? .utf8, delimiter: options.delimiter,
            null: options.null, quote: options.quote, escape: options.escape, header: options.hasHeader,
            forceNotNullKey: options.forceNotNull.contains { $0 == name || $0 == "*" },
            forceNullKey: options.forceNull.contains { $0 == name || $0 == "*" }, columns: columns)
    }
}
