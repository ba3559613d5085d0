import ControlAPI

extension JSONValue {
    /// As a cell of a table: text without quotes, nothing for a member that is missing, lists with commas.
    var shown: String {
        switch self {
        case .null: ""
        case .string(let text): text
        case .bool(let flag): flag ? "yes" : "no"
        case .array(let elements) where !elements.contains { $0.members != nil }: elements.map(\.shown).joined(separator: ", ")
        default: text
        }
    }

    /// A member as a cell; empty when it is missing.
    func cell(_ name: String) -> String { self[name]?.shown ?? "" }

    /// Bytes as a person reads them.
    static func shownBytes(_ bytes: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var (value, unit) = (Double(bytes), 0)
        while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        if unit == 0 { return "\(bytes) B" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
