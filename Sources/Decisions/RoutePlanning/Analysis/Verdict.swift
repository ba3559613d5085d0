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

    init(_ analyzer: QueryAnalyzer, statement: SQLNode) throws(Refusal) {
        let findings = analyzer.findings
        writes =
            findings.writesSharded || !findings.writtenReferences.isEmpty || !findings.writtenLocals.isEmpty
            || findings.locksRows || findings.hasSideEffect
        // What the system's catalogs and views show is partly one server's own.
        mayReadReplica = !writes && !findings.needsPrimary && findings.catalogs.isEmpty
        reuse = findings.dependsOnText || analyzer.literals.isEmpty ? .text : .shape
        keyLengthMax = findings.keyLengthMax
        if !findings.sharded.isEmpty {
            let sources = try Self.keys(analyzer, statement)
            route = .keyed(sources)
            reason = Self.keyReason(findings, sources)
            if sources.contains(where: { if case .constant = $0 { true } else { false } }) { reuse = .text }
        } else if !findings.writtenReferences.isEmpty {
            let parameters = try Self.checkReferenceWrite(findings)
            route = .everyShard(EveryShard(reason: .referenceWrite, clockParameters: parameters))
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
        for table in findings.sharded {
            guard let sources = known[table.slot] else {
                if let problem = findings.keyProblem { throw problem }
                throw Refusal(.noKey, "\(table.name).\(table.key)", at: table.location)
            }
            for source in sources where !result.contains(source) { result.append(source) }
        }
        try ParameterTypes(analyzer).check(result, in: statement)
        return result
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
