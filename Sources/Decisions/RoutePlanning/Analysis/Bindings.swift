internal import PGTypes

/// A column of a range-table entry whose type has a rule for canonical bytes.
struct Slot: Hashable, Comparable {
    var index: Int
    static func < (a: Slot, b: Slot) -> Bool { a.index < b.index }
}

/// Which columns are known to hold only certain key values, as Horn clauses over slots.
///
/// "Bound" means: only rows in which the column has one of the given values matter to the result. Facts say it outright (`k = 5` in
/// WHERE); rules carry it on (`a.k = b.k`: each from the other; `LEFT JOIN b ON b.k = a.k`: b from a only). A slot that no
/// chain of rules reaches is not bound: nothing is guessed.
struct Bindings {
    private struct Rule {
        var premises: [Slot]
        var conclusion: Slot
    }

    private(set) var types: [KeyType] = []
    private var facts: [(slot: Slot, sources: [KeySource])] = []
    private var rules: [Rule] = []

    var end: Slot { Slot(index: types.count) }

    mutating func makeSlot(_ type: KeyType) -> Slot {
        types.append(type)
        return Slot(index: types.count - 1)
    }

    func type(of slot: Slot) -> KeyType { types[slot.index] }

    /// `sources` are all the values that the column can have.
    mutating func bind(_ slot: Slot, to sources: [KeySource]) { facts.append((slot, sources)) }

    mutating func derive(_ conclusion: Slot, from premises: [Slot]) {
        guard premises.allSatisfy({ type(of: $0) == type(of: conclusion) }) else { return }
        rules.append(Rule(premises: premises, conclusion: conclusion))
    }

    mutating func equate(_ a: Slot, _ b: Slot) {
        derive(a, from: [b])
        derive(b, from: [a])
    }

    /// The values of every slot that is bound. Where several facts bind one slot, the shortest list is taken: each alone is enough.
    func solve() -> [Slot: [KeySource]] {
        var known: [Slot: [KeySource]] = [:]
        for fact in facts where fact.sources.count < known[fact.slot]?.count ?? .max { known[fact.slot] = fact.sources }
        var changed = !rules.isEmpty
        while changed {
            changed = false
            for rule in rules where known[rule.conclusion] == nil {
                let premises = rule.premises.compactMap { known[$0] }
                guard premises.count == rule.premises.count else { continue }
                known[rule.conclusion] = premises.flatMap(\.self)
                changed = true
            }
        }
        return known
    }
}
