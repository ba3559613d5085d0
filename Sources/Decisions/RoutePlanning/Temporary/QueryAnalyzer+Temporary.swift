internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

extension QueryAnalyzer {
    /// Temporary relations that a query names otherwise than in FROM: as the type of their rows, and in texts that PostgreSQL looks up.
    func noteTemporaryNames(in statement: SQLNode) {
        guard !context.temporary.isEmpty else { return }
        var names: Set<String> = []
        statement.forEachStruct { kind, address in
            guard kind == "TypeName" else { return }
            let type = address.assumingMemoryBound(to: PgQuery__TypeName.self)
            guard let parts = NodeList(type.pointee.n_names, type.pointee.names).strings else { return }
            if let name = context.temporary.name(parts) { names.insert(name.name) }
        }
        // `'t'::regclass`, `nextval('s')`: with another text the plan could be another one, and is made anew.
        if findings.dependsOnText, findings.sharded.isEmpty, findings.writtenReferences.isEmpty { names.formUnion(lookedUp(in: statement)) }
        for name in names { findings.locals.insert(QualifiedName(schema: TemporaryRelations.schema, name: name)) }
        guard !names.isEmpty else { return }
        findings.needsPrimary = true
        findings.traces.formUnion(.temporaryUse)
    }

    private func lookedUp(in statement: SQLNode) -> Set<String> {
        var names: Set<String> = []
        statement.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_A_CONST, node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL,
                let parts = IdentifierText.split(string(node.pointee.a_const.pointee.sval.pointee.sval)),
                let name = context.temporary.name(parts)
            {
                names.insert(name.name)
            }
            return true
        }
        return names
    }
}
