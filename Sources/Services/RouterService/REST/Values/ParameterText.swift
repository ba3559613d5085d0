internal import ControlAPI

/// A parameter of a REST request as PostgreSQL's input functions read it: always as text, of a type that the server infers.
///
/// Numbers keep the digits they were written with: nothing passes through a binary floating-point number.
enum ParameterText {
    /// What PostgreSQL says a parameter is, where the form of its text depends on it.
    private static let jsonOIDs: Set<UInt32> = [114, 3802]

    /// Whether the text depends on the parameter's type: an array is `{1,2}` for an int8[], and `[1,2]` for jsonb.
    static func dependsOnType(_ value: JSONValue) -> Bool {
        if case .array = value { true } else { false }
    }

    /// nil is NULL. `typeOID` is what the server inferred, 0 where it was not asked.
    static func text(_ value: JSONValue, typeOID: UInt32 = 0) -> String? {
        switch value {
        case .null: nil
        case .bool(let flag): flag ? "true" : "false"
        case .integer(let integer): String(integer)
        case .number(let text): text
        case .string(let text): text
        case .object: value.text
        case .array(let elements): jsonOIDs.contains(typeOID) ? value.text : arrayText(elements)
        }
    }

    /// PostgreSQL's array literal: `{1,NULL,"a\"b"}`, arrays inside for further dimensions.
    private static func arrayText(_ elements: [JSONValue]) -> String {
        var out = "{"
        for (index, element) in elements.enumerated() {
            if index > 0 { out += "," }
            switch element {
            case .array(let inner): out += arrayText(inner)
            case .null: out += "NULL"
            case .bool, .integer, .number: out += text(element) ?? "NULL"
            case .string(let text): out += quoted(text)
            case .object: out += quoted(element.text)
            }
        }
        return out + "}"
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { out.unicodeScalars.append("\\") }
            out.unicodeScalars.append(scalar)
        }
        return out + "\""
    }
}
