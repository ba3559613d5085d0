/// The settings a client made with SET or at its start, which follow it from backend to backend.
///
/// Kept as the statements that made them, in the order in which they were last made, because one can override another
/// (SESSION CHARACTERISTICS and default_transaction_isolation).
package struct SessionSettings: Hashable, Sendable {
    private struct Entry: Hashable, Sendable {
        var name: String
        var statement: String
    }
    private var entries: [Entry] = []
    /// What search_path names, where the session set it; `"$user"` stands for the role.
    package private(set) var searchPath: [String]?

    /// The name under which SET SESSION CHARACTERISTICS AS TRANSACTION is kept.
    package static let transactionCharacteristics = "session characteristics"

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }
    /// The number of settings, which the session bounds.
    package var count: Int { entries.count }

    /// `statement` is the client's own SET text, or one made by `assignment`. `searchPath` is given when the name is search_path.
    package mutating func set(_ name: String, statement: String, searchPath: [String]? = nil) {
        let name = name.lowercased()
        entries.removeAll { $0.name == name }
        entries.append(Entry(name: name, statement: statement))
        if name == "search_path" { self.searchPath = searchPath }
    }

    package mutating func reset(_ name: String) {
        let name = name.lowercased()
        entries.removeAll { $0.name == name }
        if name == "search_path" { searchPath = nil }
    }

    package subscript(name: String) -> String? { entries.first { $0.name == name.lowercased() }?.statement }

    /// The value that `name` has in `origin`, taken over: what RESET means to a client whose start gave settings.
    package mutating func restore(_ name: String, from origin: SessionSettings) {
        if let statement = origin[name] {
            set(name, statement: statement, searchPath: origin.searchPath)
        } else {
            reset(name)
        }
    }

    /// The statement that makes the setting of a startup packet, whose value is not SQL.
    package static func assignment(_ name: String, _ value: String) -> String {
        "SELECT pg_catalog.set_config(\(quoteLiteral(name)), \(quoteLiteral(value)), false)"
    }

    /// The statements that turn a backend with the settings `old` into one with these.
    package func statements(from old: SessionSettings) -> [String] {
        guard self != old else { return [] }
        // What both have in common at the start stays; behind the first difference everything is made again, for order matters.
        let common = zip(entries, old.entries).prefix { $0 == $1 }.count
        let kept = Set(entries.map(\.name))
        return old.entries[common...].filter { !kept.contains($0.name) }.flatMap { Self.resets($0.name) }
            + entries[common...].map(\.statement)
    }

    private static func resets(_ name: String) -> [String] {
        if name == transactionCharacteristics {
            return [
                "RESET default_transaction_isolation", "RESET default_transaction_read_only",
                "RESET default_transaction_deferrable",
            ]
        }
        return ["RESET " + name.split(separator: ".").map { quoteIdentifier(String($0)) }.joined(separator: ".")]
    }
}
