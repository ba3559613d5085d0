import ControlAPI

/// A server's answer, which is shown as it came: nothing passes through a type that could lose a field of a newer server.
struct JSONText {
    let value: JSONValue

    init(_ value: JSONValue) { self.value = value }

    /// Two blanks a level; empty lists and objects, and lists of plain values, on one line.
    var indented: String {
        var text = ""
        Self.write(value, depth: 0, to: &text)
        return text
    }

    private static func write(_ value: JSONValue, depth: Int, to text: inout String) {
        let inner = String(repeating: "  ", count: depth + 1)
        let outer = String(repeating: "  ", count: depth)
        switch value {
        case .object(let members) where !members.isEmpty:
            text += "{\n"
            for (index, member) in members.enumerated() {
                text += inner + JSONValue.string(member.name).text + ": "
                write(member.value, depth: depth + 1, to: &text)
                text += index == members.count - 1 ? "\n" : ",\n"
            }
            text += outer + "}"
        case .array(let elements) where elements.contains { $0.members != nil || $0.arrayValue != nil }:
            text += "[\n"
            for (index, element) in elements.enumerated() {
                text += inner
                write(element, depth: depth + 1, to: &text)
                text += index == elements.count - 1 ? "\n" : ",\n"
            }
            text += outer + "]"
        default: text += value.text
        }
    }
}
