internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

extension QueryAnalyzer {
    /// Checks the function itself; its arguments are looked at by the caller.
    func analyze(call: UnsafeMutablePointer<PgQuery__FuncCall>, scope: Scope) throws(Refusal) {
        let location = Int(call.pointee.location)
        guard let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, let name = names.last,
            names.count <= 2
        else { throw Refusal(.unsupported, "function name", at: location) }
        if names.count == 2, names[0] == "pgmosaic" { throw Refusal(.mosaicCall, at: location) }
        let overloads = try resolveFunction(schema: names.count == 2 ? names[0] : nil, name: name, location: location)
        let isVolatile = overloads.contains { $0.volatility == .volatile }
        let isStable = overloads.contains { $0.volatility != .immutable }
        if context.keepsSequences, SequenceUse.tellsOfDrawn.contains(name) {
            // Where it runs is the session's to know: the server session that drew.
            findings.traces.readsSequences = true
            findings.needsPrimary = true
            return findings.noteNondeterminism(.volatileReferenceWrite, "\(name)()", at: location)
        }
        let isMoment = call.pointee.n_args == 0 && FunctionRules.moments.contains(name)
        let moment = isMoment ? MomentCall(function: location, isOfStatement: name == "statement_timestamp") : nil
        if name == "age", call.pointee.n_args == 1 { findings.hiddenMoment = ("age() of one value", location) }
        let verdict = FunctionRules.verdict(name, isVolatile: isVolatile)
        if isVolatile || verdict != .allowed, !FunctionRules.tellOfReplica.contains(name) { findings.needsPrimary = true }
        switch verdict {
        case .allowed:
            if isStable, !FunctionRules.sameOnEveryShard.contains(name) {
                findings.noteNondeterminism(
                    .volatileReferenceWrite, "\(name)()", at: location, isOfTheMoment: FunctionRules.ofTheMoment.contains(name), moment: moment)
            }
        case .allowedVolatile:
            findings.noteNondeterminism(.volatileReferenceWrite, "\(name)()", at: location, isOfTheMoment: FunctionRules.ofTheMoment.contains(name))
        case .traced(let traces):
            findings.homeFunction = findings.homeFunction ?? "\(name)()"
            findings.dependsOnText = true
            findings.hasSideEffect = true
            findings.traces.formUnion(traces)
            findings.noteNondeterminism(.volatileReferenceWrite, "\(name)()", at: location)
        case .homeOnly(let hasSideEffect):
            findings.homeFunction = findings.homeFunction ?? "\(name)()"
            findings.dependsOnText = true
            if hasSideEffect { findings.hasSideEffect = true }
            if name == "nextval" || name == "setval" {
                findings.usesSequence = findings.usesSequence ?? location
                findings.drawsSequences = true
                // Its argument names a sequence by text; where that lives does not matter, the home shard has it.
            }
            findings.noteNondeterminism(.volatileReferenceWrite, "\(name)()", at: location)
        case .size:
            try checkSize(call, name: name)
        case .refused(let code):
            throw Refusal(code, "\(name)()", at: location)
        }
        if overloads.contains(where: \.isAggregate), !FunctionRules.orderFreeAggregates.contains(name) {
            findings.noteOrder("\(name)()", at: location)
        }
        if overloads.contains(where: \.returnsSet) { findings.callsSetFunction = true }
        if call.pointee.over != nil { findings.noteOrder("window function", at: location) }
    }

    private func resolveFunction(schema: String?, name: String, location: Int) throws(Refusal) -> [FunctionInfo] {
        if let schema {
            let found = context.schema.functions[QualifiedName(schema: schema, name: name)] ?? []
            return try checked(found, name: "\(schema).\(name)", location: location)
        }
        // PostgreSQL picks the best match by argument types over all schemas of the path, so one of somebody else's with this name may be meant.
        let path = context.searchPath.contains("pg_catalog") ? context.searchPath : ["pg_catalog"] + context.searchPath
        let found = path.flatMap { context.schema.functions[QualifiedName(schema: $0, name: name)] ?? [] }
        return try checked(found, name: name, location: location)
    }

    private func checked(_ found: [FunctionInfo], name: String, location: Int) throws(Refusal) -> [FunctionInfo] {
        guard !found.isEmpty else { throw Refusal(.unknownFunction, "\(name)()", at: location) }
        if found.contains(where: \.isUserDefined), !arePure(found) { throw Refusal(.userFunction, "\(name)()", at: location) }
        return found
    }

    /// Not under a name of PostgreSQL's own: what is known of that would be taken for theirs.
    private func arePure(_ found: [FunctionInfo]) -> Bool {
        found.allSatisfy { $0.isPure && context.schema.functions[QualifiedName(schema: "pg_catalog", name: $0.name.name)] == nil }
    }

    func checkNotUserFunction(_ name: String, at location: Int?) throws(Refusal) {
        for schema in context.searchPath {
            let found = context.schema.functions[QualifiedName(schema: schema, name: name)] ?? []
            if found.contains(where: \.isUserDefined) { throw Refusal(.userFunction, name, at: location) }
        }
    }

    /// `pg_relation_size('orders')` of a sharded table would be one shard's. Sizes of relations that the catalog lists are the home shard's.
    private func checkSize(_ call: UnsafeMutablePointer<PgQuery__FuncCall>, name: String) throws(Refusal) {
        findings.homeFunction = findings.homeFunction ?? "\(name)()"
        findings.dependsOnText = true
        findings.noteNondeterminism(.volatileReferenceWrite, "\(name)()", at: Int(call.pointee.location))
        guard let argument = NodeList(call.pointee.n_args, call.pointee.args).first else { return }
        var node = argument
        while node.kind == PG_QUERY__NODE__NODE_TYPE_CAST { node = node.pointee.type_cast.pointee.arg }
        guard node.kind == PG_QUERY__NODE__NODE_A_CONST, node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL
        else { return }
        let parts = IdentifierText.split(string(node.pointee.a_const.pointee.sval.pointee.sval))
        guard let parts, let last = parts.last, parts.count <= 2 else { return }
        let resolver = TableResolver(context: context)
        guard let table = try? resolver.resolve(schema: parts.count == 2 ? parts[0] : nil, name: last) else { return }
        if case .sharded = table.placement {
            throw Refusal(.shardSize, table.name.description, at: Int(call.pointee.location))
        }
    }
}

/// Names given as text, as regclass reads them: `public."Orders"`.
package enum IdentifierText {
    /// The parts, folded to lower case where not quoted; nil where the text is no name.
    package static func split(_ text: String) -> [String]? {
        var parts: [String] = []
        var rest = Substring(text).unicodeScalars
        while true {
            guard let part = takePart(&rest) else { return nil }
            parts.append(part)
            guard let next = rest.first else { return parts }
            guard next == "." else { return nil }
            rest.removeFirst()
        }
    }

    // Scalars: a quote with a combining mark behind it is one Character, and another one.
    private static func takePart(_ rest: inout Substring.UnicodeScalarView) -> String? {
        guard rest.first == "\"" else {
            let part = rest.prefix { $0 != "." }
            rest = rest[part.endIndex...]
            let isPlain = part.allSatisfy { $0 == "_" || $0 == "$" || $0.properties.isAlphabetic || ("0"..."9").contains($0) }
            guard let first = part.first, isPlain, !("0"..."9").contains(first) else { return nil }
            // PostgreSQL folds ASCII letters only, in UTF8 databases.
            return String(part).lowercasedASCII
        }
        rest.removeFirst()
        var part = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            guard scalar == "\"" else { part.append(scalar); continue }
            guard rest.first == "\"" else { return part.isEmpty ? nil : String(part) }
            rest.removeFirst()
            part.append(scalar)
        }
        return nil
    }
}
