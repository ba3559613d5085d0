internal import CPGQuery
internal import SQLSyntax

/// The options of an EXPLAIN, as far as the router must know them. The shards read them all themselves.
package struct ExplainOptions: Hashable, Sendable {
    package enum Format: Hashable, Sendable { case text, json }
    /// ANALYZE: the statement runs.
    package var runs = false
    package var showsTime = true
    package var format = Format.text
    /// The options once more, for statements of the router's own: `ANALYZE true, COSTS false`.
    package var words = ""

    /// Throws: nothing puts the shards' plans together in this format.
    init(_ list: NodeList) throws(Refusal) {
        var words: [String] = []
        for node in list where node.kind == PG_QUERY__NODE__NODE_DEF_ELEM {
            let name = string(node.pointee.def_elem.pointee.defname).lowercased()
            let value = DefinitionValue(node.pointee.def_elem)
            switch name {
            case "analyze": runs = value.boolean != false
            case "timing": showsTime = value.boolean != false
            case "format":
                switch value.text?.lowercased() {
                case "json": format = .json
                case "xml", "yaml": throw Refusal(.explainFormat, value.text?.uppercased() ?? "")
                // PostgreSQL says what it thinks of another.
                default: format = .text
                }
            default: break
            }
            guard Self.isPlain(name), Self.isPlain(value.text ?? "") else { continue }
            words.append(value.text.map { "\(name) \($0)" } ?? name)
        }
        self.words = words.joined(separator: ", ")
    }

    /// What stands before a statement that is explained so.
    package var head: String { words.isEmpty ? "EXPLAIN " : "EXPLAIN (\(words)) " }

    private static func isPlain(_ word: String) -> Bool {
        word.utf8.allSatisfy { (0x61...0x7a).contains($0 | 0x20) || (0x30...0x39).contains($0) || $0 == 0x5f }
    }
}
