/// What clients send, built by hand and right: the hostile tests spoil it themselves.
enum WireMessages {
    static func startup(_ parameters: [String: String]) -> [UInt8] {
        var body = integer(196_608)
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) { body += string(name) + string(value) }
        return packet(body + [0])
    }

    static let sslRequest = packet(integer(80_877_103))
    static func cancel(processID: Int32, secret: Int32) -> [UInt8] { packet(integer(80_877_102) + integer(processID) + integer(secret)) }

    static func query(_ sql: String) -> [UInt8] { message("Q", string(sql)) }
    static func parse(_ name: String, _ sql: String) -> [UInt8] { message("P", string(name) + string(sql) + [0, 0]) }
    /// Text parameters, text results.
    static func bind(_ portal: String, _ statement: String, _ parameters: [String?] = []) -> [UInt8] {
        var body = string(portal) + string(statement) + [0, 0] + short(parameters.count)
        for parameter in parameters {
            if let parameter { body += integer(Int32(parameter.utf8.count)) + Array(parameter.utf8) } else { body += integer(-1) }
        }
        return message("B", body + [0, 0])
    }
    static func describe(_ target: Character, _ name: String) -> [UInt8] { message("D", [target.asciiValue!] + string(name)) }
    static func execute(_ portal: String, rowsMax: Int32 = 0) -> [UInt8] { message("E", string(portal) + integer(rowsMax)) }
    static func close(_ target: Character, _ name: String) -> [UInt8] { message("C", [target.asciiValue!] + string(name)) }
    static let flush = message("H", [])
    static let sync = message("S", [])
    static let terminate = message("X", [])
    static func copyData(_ text: String) -> [UInt8] { message("d", Array(text.utf8)) }
    static let copyDone = message("c", [])
    static func copyFail(_ reason: String) -> [UInt8] { message("f", string(reason)) }

    static func message(_ kind: Character, _ body: [UInt8]) -> [UInt8] { [kind.asciiValue!] + integer(Int32(body.count + 4)) + body }
    static func integer(_ value: Int32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

    private static func packet(_ body: [UInt8]) -> [UInt8] { integer(Int32(body.count + 4)) + body }
    private static func short(_ value: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)] }
    private static func string(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }
}
