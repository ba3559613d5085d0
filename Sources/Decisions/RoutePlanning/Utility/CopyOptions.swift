internal import CPGQuery
internal import SQLSyntax

/// The options of COPY, read as PostgreSQL's `ProcessCopyOptions` does, defaults filled in.
///
/// What decides nothing about rows and keys (FREEZE, FORCE_QUOTE) is each shard's own business: it gets the statement's text.
struct CopyOptions {
    private(set) var isCSV = false
    private(set) var isBinary = false
    private(set) var hasHeader = false
    private(set) var delimiter: UInt8 = 0x09
    private(set) var null: [UInt8] = Array("\\N".utf8)
    private(set) var quote: UInt8 = 0x22
    private(set) var escape: UInt8 = 0x22
    private(set) var forceNotNull: [String] = []
    private(set) var forceNull: [String] = []
    private var encodingName: String?

    init(_ list: NodeList) throws(Refusal) {
        var given: [String: DefinitionValue] = [:]
        for node in list {
            guard node.kind == PG_QUERY__NODE__NODE_DEF_ELEM else { throw Refusal(.unsupported, node.kindName) }
            let name = string(node.pointee.def_elem.pointee.defname)
            // PostgreSQL: "conflicting or redundant options".
            guard given[name] == nil else { throw Refusal(.copyOption, name) }
            given[name] = DefinitionValue(node.pointee.def_elem)
        }
        try readFormat(given.removeValue(forKey: "format"))
        if let value = given.removeValue(forKey: "delimiter") { delimiter = try Self.byte(value, "delimiter") }
        if let value = given.removeValue(forKey: "null") { null = Array((value.text ?? "").utf8) }
        if let value = given.removeValue(forKey: "quote") { quote = try Self.byte(value, "quote") }
        escape = quote
        if let value = given.removeValue(forKey: "escape") { escape = try Self.byte(value, "escape") }
        if let value = given.removeValue(forKey: "header") {
            // HEADER MATCH: the line is there, and each shard checks it.
            hasHeader = try Self.boolean(value, "header", others: ["match"])
        }
        for name in ["freeze", "force_quote"] { given[name] = nil }
        forceNotNull = given.removeValue(forKey: "force_not_null")?.list ?? []
        forceNull = given.removeValue(forKey: "force_null")?.list ?? []
        encodingName = given.removeValue(forKey: "encoding")?.text
        if let unknown = given.keys.min() { throw Refusal(.copyOption, unknown) }
    }

    private mutating func readFormat(_ value: DefinitionValue?) throws(Refusal) {
        switch value?.text {
        case nil, "text": break
        case "csv":
            isCSV = true
            delimiter = 0x2c
            null = []
        case "binary": isBinary = true
        default: throw Refusal(.copyFormat)
        }
    }

    private static func byte(_ value: DefinitionValue, _ name: String) throws(Refusal) -> UInt8 {
        let bytes = Array((value.text ?? "").utf8)
        guard bytes.count == 1, bytes[0] != 0x0a, bytes[0] != 0x0d else { throw Refusal(.copyOption, name) }
        return bytes[0]
    }

    private static func boolean(_ value: DefinitionValue, _ name: String, others: [String] = []) throws(Refusal) -> Bool {
        if let text = value.text?.lowercased(), others.contains(text) { return true }
        guard let result = value.boolean else { throw Refusal(.copyOption, name) }
        return result
    }

    /// nil: one whose rows the router cannot tell apart. Binary data are in the client's encoding, whatever ENCODING says.
    var encoding: CopyEncoding? {
        guard let encodingName, !isBinary else { return .utf8 }
        return CopyEncoding(name: encodingName)
    }

    /// Whether the router can find rows and fields in the data.
    func checkReadable() throws(Refusal) {
        guard !isBinary else { return }
        guard let encoding else { throw Refusal(.copyFormat, "encoding \(encodingName ?? "")") }
        let isForeign = encoding != .utf8 && null.contains { $0 >= 0x80 }
        guard !isForeign, !null.contains(0x0a), !null.contains(0x0d), !null.contains(delimiter) else { throw Refusal(.copyOption, "null") }
        if !isCSV {
            // PostgreSQL's own rule: characters that mean something behind a backslash, or in a number, cannot separate.
            let isForbidden = Set("\\.abcdefghijklmnopqrstuvwxyz0123456789".utf8).contains(delimiter)
            if isForbidden { throw Refusal(.copyOption, "delimiter") }
        } else if delimiter == quote || null.contains(quote) {
            throw Refusal(.copyOption, "quote")
        }
    }
}
