/// The value of a setting after its text was read and checked.
package enum SettingValue: Hashable, Sendable, CustomStringConvertible {
    case integer(Int)
    case duration(Duration)
    case bytes(Int)
    case boolean(Bool)
    case text(String)

    /// As it would be written in a configuration file.
    package var description: String {
        switch self {
        case .integer(let number): String(number)
        case .duration(let duration): Self.describe(duration)
        case .bytes(let number): Self.describe(bytes: number)
        case .boolean(let flag): flag ? "true" : "false"
        case .text(let text): text
        }
    }

    private static let durationUnits: [(name: String, milliseconds: Int64)] = [
        ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]
    private static let byteUnits: [(name: String, bytes: Int)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

    package static func describe(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        if milliseconds == 0 { return "0" }
        let unit = durationUnits.first { milliseconds % $0.milliseconds == 0 } ?? ("ms", 1)
        return "\(milliseconds / unit.milliseconds)\(unit.name)"
    }

    package static func describe(bytes: Int) -> String {
        guard bytes > 0, let unit = byteUnits.first(where: { bytes % $0.bytes == 0 }) else { return String(bytes) }
        return "\(bytes / unit.bytes)\(unit.name)"
    }

    /// Reads `text` as a value of `kind`. Returns what is expected instead when it is not one.
    static func parse(_ text: String, as kind: SettingDeclaration.Kind) -> Result<SettingValue, Expectation> {
        switch kind {
        case .integer(let bounds):
            guard let number = Int(text), bounds.contains(number) else { return .failure(Expectation(kind)) }
            return .success(.integer(number))
        case .duration(let bounds):
            guard let duration = parseDuration(text), bounds.contains(duration) else { return .failure(Expectation(kind)) }
            return .success(.duration(duration))
        case .bytes(let bounds):
            guard let number = parseBytes(text), bounds.contains(number) else { return .failure(Expectation(kind)) }
            return .success(.bytes(number))
        case .boolean:
            switch text.lowercased() {
            case "true", "yes", "on", "1": return .success(.boolean(true))
            case "false", "no", "off", "0": return .success(.boolean(false))
            default: return .failure(Expectation(kind))
            }
        case .text, .path: return .success(.text(text))
        case .choice(let choices):
            return choices.contains(text) ? .success(.text(text)) : .failure(Expectation(kind))
        }
    }

    private static func parseDuration(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), let unit = durationUnits.first(where: { $0.name == text.dropFirst(digits.count) })
        else { return nil }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
        return overflow ? nil : .milliseconds(milliseconds)
    }

    private static func parseBytes(_ text: String) -> Int? {
        if let number = Int(text) { return number }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), let unit = byteUnits.first(where: { $0.name == text.dropFirst(digits.count) })
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
        return overflow ? nil : bytes
    }
}

/// What a setting's text should have been: "an integer from 1 to 65535".
struct Expectation: Error, Hashable, Sendable, CustomStringConvertible {
    let description: String

    init(_ kind: SettingDeclaration.Kind) {
        description =
            switch kind {
            case .integer(let bounds): "an integer from \(bounds.lowerBound) to \(bounds.upperBound)"
            case .duration(let bounds):
                "a duration such as 250ms, 30s, 5m or 1h, from \(SettingValue.describe(bounds.lowerBound)) to \(SettingValue.describe(bounds.upperBound))"
            case .bytes(let bounds):
                "a size such as 4096, 64KiB or 10MiB, from \(SettingValue.describe(bytes: bounds.lowerBound)) to \(SettingValue.describe(bytes: bounds.upperBound))"
            case .boolean: "true or false"
            case .text: "a text"
            case .path: "a path"
            case .choice(let choices): "one of: \(choices.joined(separator: ", "))"
            }
    }
}
