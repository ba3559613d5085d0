internal import ShardModel

/// Which routines may leave something: for what they do themselves, and for the routines and views that they name.
///
/// By name alone: which of several is meant depends on search_path and on types. Triggers and column defaults are not looked at.
enum RoutineJudgement {
    /// - sources: of volatile routines in SQL or PL/pgSQL. Volatile ones without a source, in other languages, may do anything.
    static func judge(_ snapshot: inout SchemaSnapshot, sources: [QualifiedName: [String]]) {
        let codes = sources.map { (name: $0.key.name.lowercased(), bodies: $0.value.map(RoutineCode.init)) }
        var suspects = Suspects()
        for (name, overloads) in snapshot.functions {
            let opaque = overloads.count { $0.isUserDefined && $0.volatility == .volatile && !$0.hasSource }
            let isListed = overloads.contains { !$0.isUserDefined && FunctionRules.leavesState(name.name, isVolatile: $0.volatility == .volatile) }
            if opaque > 0 || isListed { suspects.insert(name.name) }
        }
        let operators = snapshot.volatileOperators.map(\.name)
        for code in codes where code.bodies.contains(where: { body in body.isSuspicious || operators.contains(where: body.mentions(operator:)) }) {
            suspects.insert(code.name)
        }
        let views = snapshot.relations.values.filter { !$0.viewFunctions.isEmpty }
        var grows = true
        while grows {
            grows = false
            for code in codes where !suspects.contains(code.name) && code.bodies.contains(where: suspects.areNamed(in:)) {
                suspects.insert(code.name)
                grows = true
            }
            for view in views where !suspects.contains(view.name.name) && view.viewFunctions.contains(where: { suspects.contains($0.name) }) {
                suspects.insert(view.name.name)
                grows = true
            }
        }
        snapshot.suspects = suspects
        for (name, overloads) in snapshot.functions where overloads.contains(where: \.isUserDefined) && !suspects.contains(name.name) {
            snapshot.functions[name] = overloads.map { function in
                var function = function
                function.mayLeaveState = false
                return function
            }
        }
    }

    /// Whether a DO block in PL/pgSQL may leave something.
    static func mayLeaveState(block: String, in schema: SchemaSnapshot) -> Bool {
        let code = RoutineCode(block)
        guard !code.isSuspicious, !schema.volatileOperators.contains(where: { code.mentions(operator: $0.name) }) else { return true }
        return schema.suspects.areNamed(in: code)
    }
}

/// Names of what may leave something, in lower case.
package struct Suspects: Sendable {
    private var words: Set<String> = []
    /// Those that are no single word, as they stand between quotes.
    private var others: Set<String> = []

    mutating func insert(_ name: String) {
        let name = name.lowercased()
        if RoutineCode(name).words == [name] { words.insert(name) } else { others.insert(name.replacing("\"", with: "\"\"")) }
    }

    func contains(_ name: String) -> Bool {
        let name = name.lowercased()
        return words.contains(name) || others.contains(name.replacing("\"", with: "\"\""))
    }

    func areNamed(in code: RoutineCode) -> Bool {
        !code.words.isDisjoint(with: words) || !others.isEmpty && others.contains(where: code.mentions(name:))
    }
}
