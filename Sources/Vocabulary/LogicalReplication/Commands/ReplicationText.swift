/// Quoting for the grammar of replication commands (src/backend/replication/repl_scanner.l) and for values inside of it.
///
/// That scanner knows no backslashes and no `E''`: a doubled quote is the only escape, whatever `standard_conforming_strings` says.
enum ReplicationText {
    static func identifier(_ name: String) -> String { quote(name, "\"") }
    static func literal(_ text: String) -> String { quote(text, "'") }

    /// A list of names, as SplitIdentifierString reads it: `"a","b""c"`.
    static func identifierList(_ names: [String]) -> String { names.map(identifier).joined(separator: ",") }

    private static func quote(_ text: String, _ mark: Character) -> String {
        var quoted = String(mark)
        // By scalars: a mark followed by a combining one is another character, and would stay alone.
        for scalar in text.unicodeScalars {
            if Character(scalar) == mark { quoted.unicodeScalars.append(scalar) }
            // A zero byte ends a command on the server: what stands behind it would be lost.
            if scalar.value != 0 { quoted.unicodeScalars.append(scalar) }
        }
        quoted.append(mark)
        return quoted
    }
}
