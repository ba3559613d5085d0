/// What a client knows of its rows: what was acknowledged, and what may have been done. No two clients have a key in common.
struct Ledger: Sendable {
    /// A change whose outcome nobody told: all of it, or nothing. nil: no row.
    struct Doubt: Sendable {
        var before: [Int64: Int64?]
        var after: [Int64: Int64?]
        var statement: String
    }

    var rows: [Int64: Int64] = [:]
    /// Their keys are in no row and in no other doubt.
    var doubts: [Doubt] = []
    /// Acknowledged with the warning that one may not see it yet.
    var late: Set<Int64> = []
    /// An answer that cannot be: it is a fault, whatever else happens.
    var lies: [String] = []
    var next: Int64
    var (done, refused) = (0, 0)
    var codes: [String: Int] = [:]

    init(lane: Int) { next = Int64(lane) * 1_000_000 + 1 }

    mutating func doubt(_ after: [Int64: Int64?], _ statement: String) {
        doubts.append(Doubt(before: after.keys.reduce(into: [:]) { $0[$1] = .some(rows[$1]) }, after: after, statement: statement))
        for key in after.keys { rows[key] = nil }
    }

    /// Holds what there is against what may be, and takes what there is for known from then on. Gives what is wrong.
    mutating func settle(with found: [Int64: Int64], keys: Range<Int64>) -> [String] {
        var wrong = lies
        (lies, late) = ([], [])
        for doubt in doubts {
            let there: [Int64: Int64?] = doubt.before.keys.reduce(into: [:]) { $0[$1] = .some(found[$1]) }
            if there != doubt.before, there != doubt.after { wrong.append("\(doubt.statement): \(doubt.before) or \(doubt.after), and there is \(there)") }
            for (key, value) in there { rows[key] = value }
        }
        doubts = []
        for (key, value) in rows where found[key] != value { wrong.append("key \(key): \(value) was acknowledged, and there is \(found[key].map(String.init) ?? "nothing")") }
        for (key, value) in found where keys.contains(key) && rows[key] == nil { wrong.append("key \(key): nobody has been told of it, and there is \(value)") }
        // Reported once.
        rows = found.filter { keys.contains($0.key) }
        return wrong
    }
}

/// The same for a reference table, of which every shard has a copy.
struct ReferenceLedger: Sendable {
    var done: Set<Int64> = []
    var unknown: Set<Int64> = []

    func wrong(in copies: [[Int64]]) -> [String] {
        guard Set(copies.map(Set.init)).count == 1, let copy = copies.first.map(Set.init) else { return ["the copies of the reference table differ: \(copies.map(\.count))"] }
        var wrong = copies.filter { Set($0).count != $0.count }.map { _ in "a reference table has a row twice" }
        wrong += done.subtracting(copy).map { "reference row \($0) was acknowledged, and is gone" }
        wrong += copy.subtracting(done).subtracting(unknown).map { "reference row \($0) was refused, and is there" }
        return wrong
    }
}
