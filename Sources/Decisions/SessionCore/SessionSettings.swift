/// The settings a client made with SET or at its start, which follow it from backend to backend.
///
/// Kept as the statements that made them, in name order, so that two sessions with the same settings compare equal and share backends
/// without any traffic.
package struct SessionSettings: Hashable, Sendable {
    /// By lower-case setting name, the SQL statement that sets it.
    private var statements: [String: String] = [:]

    package init() {}

    package var isEmpty: Bool { statements.isEmpty }

    /// `statement` is the client's own SET text, or one made by `assignment`.
    package mutating func set(_ name: String, statement: String) { statements[name.lowercased()] = statement }
    package mutating func reset(_ name: String) { statements[name.lowercased()] = nil }
    package mutating func resetAll() { statements = [:] }

    package subscript(name: String) -> String? { statements[name.lowercased()] }

    /// A SET statement for a startup parameter.
    package static func assignment(_ name: String, _ value: String) -> String {
        "SET \(name.split(separator: ".").map { quoteIdentifier(String($0)) }.joined(separator: ".")) TO \(quoteLiteral(value))"
    }

    /// The statements that turn a backend with the settings `old` into one with these.
    package func statements(from old: SessionSettings) -> [String] {
        guard self != old else { return [] }
        var result: [String] = []
        for name in old.statements.keys.sorted() where statements[name] == nil {
            result.append("RESET \(name.split(separator: ".").map { quoteIdentifier(String($0)) }.joined(separator: "."))")
        }
        for name in statements.keys.sorted() where statements[name] != old.statements[name] {
            result.append(statements[name]!)
        }
        return result
    }

    /// The number of settings, which the session bounds.
    package var count: Int { statements.count }
}
