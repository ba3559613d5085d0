internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// The settings in a startup packet: its parameters, and the `-c name=value` switches in `options`.
struct StartupSettings {
    private(set) var settings = SessionSettings()
    /// `pgmosaic.consistency`, which the router keeps for itself.
    private(set) var consistency: Consistency?
    /// `pgmosaic.keep_sequence_state`, likewise.
    private(set) var keepsSequences = false

    /// Throws for an encoding that is not served, and for switches other than -c and --name=value.
    init(_ startup: StartupMessage) throws(ServerError) {
        for (name, value) in try Self.switches(startup["options"] ?? "") { try set(name, value) }
        for parameter in startup.settings { try set(parameter.name, parameter.value) }
    }

    /// Asks for a token instead of a password: `pgmosaic.auth=token`.
    static let authName = "pgmosaic.auth"

    /// How the client wants to prove who it is; nil: as ever.
    static func auth(of startup: StartupMessage) throws(ServerError) -> String? {
        let given = try switches(startup["options"] ?? "").last { $0.0.lowercasedASCII == authName }?.1
        let value = startup.settings.last { $0.name.lowercasedASCII == authName }?.value ?? given
        guard value == nil || value == "token" || value == "password" else { throw .invalidSetting(authName) }
        return value
    }

    private mutating func set(_ name: String, _ value: String) throws(ServerError) {
        let name = name.lowercasedASCII
        switch name {
        case "client_encoding":
            // Keys are hashed as UTF-8, so no other encoding may stand between.
            guard Self.isServed(encoding: value) else { throw .encodingRefused(value) }
        case "search_path":
            let schemas = SearchPathText.schemas(value)
            try Self.check(name, schemas)
            settings.set(name, statement: SessionSettings.assignment(name, value), searchPath: schemas)
        case Self.authName:
            guard value == "token" || value == "password" else { throw .invalidSetting(name) }
        case MosaicVariables.consistencyName:
            consistency = try MosaicVariables.consistency(value)
        case MosaicVariables.sequencesName:
            keepsSequences = try MosaicVariables.boolean(name, value)
        default:
            try Self.check(name, [value])
            settings.set(name, statement: SessionSettings.assignment(name, value))
        }
    }

    private static func check(_ name: String, _ values: [String]) throws(ServerError) {
        if let code = SettingRules.refusal(name, values) { throw .refusal(Refusal(code, name)) }
        // The router's own, and not for clients to give.
        if name.hasPrefix("pgmosaic.") { throw .settingRefused(name) }
    }

    private static func isServed(encoding: String) -> Bool {
        let plain = encoding.lowercased().filter { $0.isLetter || $0.isNumber }
        return ["utf8", "unicode", "sqlascii", "auto"].contains(plain)
    }

    /// Splits `options` as PostgreSQL's pg_split_opts does: at blanks, a backslash making the next character ordinary.
    private static func switches(_ options: String) throws(ServerError) -> [(String, String)] {
        var words: [String] = []
        var current = ""
        var isEscaped = false
        for character in options {
            if isEscaped {
                current.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == " " || character == "\t" || character == "\n" {
                if !current.isEmpty { words.append(current) }
                current = ""
            } else {
                current.append(character)
            }
        }
        if !current.isEmpty { words.append(current) }
        var result: [(String, String)] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            let assignment: Substring
            if word == "-c" {
                guard let next = rest.popFirst() else { throw .optionsRefused }
                assignment = Substring(next)
            } else if word.hasPrefix("-c") || word.hasPrefix("--") {
                assignment = word.dropFirst(2)
            } else {
                throw .optionsRefused
            }
            guard let equals = assignment.firstIndex(of: "=") else { throw .optionsRefused }
            let name = assignment[..<equals].replacing("-", with: "_")
            result.append((String(name), String(assignment[assignment.index(after: equals)...])))
        }
        return result
    }
}
