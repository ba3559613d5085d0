internal import SQLSyntax
internal import ShardModel

/// The settings a client made with SET or at its start, which follow it from backend to backend.
///
/// Kept as the statements that made them, in the order in which they were last made, because one can override another
/// (SESSION CHARACTERISTICS and default_transaction_isolation).
package struct SessionSettings: Hashable, Sendable {
    private struct Entry: Hashable, Sendable {
        var name: String
        var statement: String

        // A value is its bytes, and so is the text that sets it.
        static func == (a: Self, b: Self) -> Bool { a.name == b.name && a.statement.isExactly(b.statement) }
        func hash(into hasher: inout Hasher) {
            hasher.combine(name)
            hasher.combine(statement)
        }
    }
    private var entries: [Entry] = []
    /// What search_path names, where the session set it; `"$user"` stands for the role.
    package private(set) var searchPath: [String]?

    /// The name under which SET SESSION CHARACTERISTICS AS TRANSACTION is kept.
    package static let transactionCharacteristics = "session characteristics"

    /// SET ROLE.
    package static let role = "role"

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }
    /// The number of settings, which the session bounds.
    package var count: Int { entries.count }

    /// `statement` is the client's own SET text, or one made by `assignment`. `searchPath` is given when the name is search_path.
    ///
    /// Of a setting that a statement may change in part (`dateStyle`, the transaction characteristics) every different statement is kept.
    package mutating func set(_ name: String, statement: String, searchPath: [String]? = nil) {
        let name = name.lowercasedASCII
        let isCumulative = Self.cumulative.contains(name)
        entries.removeAll { $0.name == name && (!isCumulative || $0.statement.isExactly(statement)) }
        entries.append(Entry(name: name, statement: statement))
        if name == "search_path" { self.searchPath = searchPath }
    }

    package mutating func reset(_ name: String) {
        let name = name.lowercasedASCII
        entries.removeAll { $0.name == name }
        if name == "search_path" { searchPath = nil }
    }

    /// Something was said of the isolation that transactions begin with.
    package var namesIsolation: Bool { entries.contains { $0.name == Self.transactionCharacteristics || $0.name == "default_transaction_isolation" } }

    /// The statements about the modes that transactions begin with, in their order. nil: there are others that may be about them.
    package var transactionDefaults: [String]? {
        guard !entries.contains(where: { $0.name.hasPrefix("transaction_") }) else { return nil }
        return entries.filter { Self.groups[1].contains($0.name) }.map(\.statement)
    }

    /// The statement last made for it.
    package subscript(name: String) -> String? { entries.last { $0.name == name.lowercasedASCII }?.statement }

    /// The value that `name` has in `origin`, taken over: what RESET means to a client whose start gave settings.
    package mutating func restore(_ name: String, from origin: SessionSettings) {
        reset(name)
        for entry in origin.entries where entry.name == name.lowercasedASCII {
            set(name, statement: entry.statement, searchPath: origin.searchPath)
        }
    }

    /// What RESET ALL leaves of these: everything that `origin` has, and the role, which it does not touch.
    package func resetAll(to origin: SessionSettings) -> SessionSettings {
        var new = origin
        new.reset(Self.role)
        if let role = self[Self.role] { new.set(Self.role, statement: role) }
        return new
    }

    /// The statement that makes the setting of a startup packet, whose value is not SQL.
    package static func assignment(_ name: String, _ value: String, isLocal: Bool = false) -> String {
        "SELECT pg_catalog.set_config(\(quoteLiteral(name)), \(quoteLiteral(value)), \(isLocal))"
    }

    /// Settings that a statement may change in part: SET datestyle = DMY leaves the style, AS TRANSACTION READ ONLY the isolation.
    private static let cumulative: Set<String> = ["datestyle", transactionCharacteristics]
    /// The settings that share a value, so that the order of their statements matters; `datestyle` with itself.
    private static let groups: [Set<String>] = [
        ["datestyle"],
        [
            transactionCharacteristics, "default_transaction_isolation", "default_transaction_read_only",
            "default_transaction_deferrable",
        ],
    ]

    /// The statements that turn a backend with the settings `old` into one with these.
    ///
    /// Everything but the role is set without one: it need not have the right to.
    package func statements(from old: SessionSettings) -> [String] {
        guard self != old else { return [] }
        let others = otherStatements(from: old)
        let (role, oldRole) = (self[Self.role], old[Self.role])
        if others.isEmpty, let role { return oldRole?.isExactly(role) == true ? [] : [role] }
        return (oldRole == nil ? [] : Self.resets(Self.role)) + others + (role.map { [$0] } ?? [])
    }

    private func otherStatements(from old: SessionSettings) -> [String] {
        let entries = entries.filter { $0.name != Self.role }, oldEntries = old.entries.filter { $0.name != Self.role }
        // What both have in common at the start stays; behind the first difference everything is made again, for order matters.
        let common = zip(entries, oldEntries).prefix { $0 == $1 }.count
        let kept = Set(entries.map(\.name))
        let (mine, theirs) = (entries[common...].filter { !Self.isGrouped($0) }, oldEntries[common...].filter { !Self.isGrouped($0) })
        return theirs.filter { !kept.contains($0.name) }.flatMap { Self.resets($0.name) } + mine.map(\.statement)
            + Self.groups.flatMap { statements(from: old, of: $0) }
    }

    /// Those of one group: the backend's own statements go on, or everything starts again from its defaults.
    private func statements(from old: SessionSettings, of group: Set<String>) -> [String] {
        let (mine, theirs) = (entries.filter { group.contains($0.name) }, old.entries.filter { group.contains($0.name) })
        if mine.starts(with: theirs) { return mine.dropFirst(theirs.count).map(\.statement) }
        return Set(theirs.flatMap { Self.resets($0.name) }).sorted() + mine.map(\.statement)
    }

    private static func isGrouped(_ entry: Entry) -> Bool { groups.contains { $0.contains(entry.name) } }

    private static func resets(_ name: String) -> [String] {
        if name == transactionCharacteristics {
            return groups[1].subtracting([transactionCharacteristics]).sorted().flatMap(resets)
        }
        return ["RESET " + name.split(separator: ".").map { quoteIdentifier(String($0)) }.joined(separator: ".")]
    }
}
