internal import PGWire

/// What the console is asked for. The words are PgBouncer's.
enum ConsoleCommand: Equatable {
    enum Report: String, CaseIterable {
        case help, version, databases, pools, shards, clients, servers, transactions, prepared, stats, lists
    }

    case show(Report)
    /// nil: of every database.
    case pause(database: String?)
    case resume(database: String?)
    case reconnect(database: String?)
    case reload
    /// What drivers say by themselves; answered with its tag, and nothing else.
    case politeness(tag: String)
    case empty

    /// Whether a viewer may.
    var onlyLooks: Bool {
        switch self {
        case .show, .politeness, .empty: true
        case .pause, .resume, .reconnect, .reload: false
        }
    }

    /// Throws a `ServerError` that says what there is instead.
    init(_ text: String) throws(ServerError) {
        let words = try Self.words(text)
        guard let first = words.first?.text.uppercased() else {
            self = .empty
            return
        }
        let argument = words.count == 2 ? words[1] : nil
        switch first {
        case "SHOW":
            guard let argument, let report = Report(rawValue: argument.text.lowercased()) else {
                throw .unknownReport(words.dropFirst().map(\.text).joined(separator: " "))
            }
            self = .show(report)
        case "PAUSE" where words.count <= 2: self = .pause(database: argument?.name)
        case "RESUME" where words.count <= 2: self = .resume(database: argument?.name)
        case "RECONNECT" where words.count <= 2: self = .reconnect(database: argument?.name)
        case "RELOAD" where words.count == 1: self = .reload
        case "SET", "BEGIN", "COMMIT", "ROLLBACK": self = .politeness(tag: first)
        default: throw .unknownConsoleCommand(first)
        }
    }

    private struct Word: Equatable {
        var text: String
        var isQuoted = false
        /// As PostgreSQL reads names.
        var name: String { isQuoted ? text : text.lowercased() }
    }

    /// Words between blanks, names in quotation marks, and semicolons at the end.
    private static func words(_ text: String) throws(ServerError) -> [Word] {
        var words: [Word] = []
        var rest = text[...]
        while let last = rest.last, last.isWhitespace || last == ";" { rest.removeLast() }
        while let first = rest.first {
            if first.isWhitespace {
                rest.removeFirst()
            } else if first == "\"" {
                rest.removeFirst()
                guard let end = rest.firstIndex(of: "\"") else { throw .consoleSyntax }
                words.append(Word(text: String(rest[..<end]), isQuoted: true))
                rest = rest[rest.index(after: end)...]
            } else {
                let word = rest.prefix { !$0.isWhitespace && $0 != "\"" }
                // One command at a time.
                guard !word.contains(";") else { throw .consoleSyntax }
                words.append(Word(text: String(word)))
                rest = rest[word.endIndex...]
            }
        }
        return words
    }
}

extension ServerError {
    static func unknownReport(_ name: String) -> ServerError {
        ServerError(
            sqlState: .undefinedObject, message: "the console has no report \"\(name.prefix(63))\"",
            hint: "SHOW " + ConsoleCommand.Report.allCases.map { $0.rawValue.uppercased() }.joined(separator: ", ") + ".")
    }
    static func unknownConsoleCommand(_ word: String) -> ServerError {
        ServerError(
            sqlState: .syntaxError, message: "the console has no command \"\(word.prefix(63))\"",
            hint: "This is the router's console, no database: SHOW HELP lists its commands.")
    }
    static let consoleSyntax = ServerError(
        sqlState: .syntaxError, message: "a command of the console is one line of words", hint: "SHOW HELP lists them.")
    static let consoleForbidden = ServerError(
        severity: .fatal, sqlState: .insufficientPrivilege, message: "permission denied for the console",
        detail: "It is for users with a role, and for those that console.users names.")
    static let consoleReadOnly = ServerError(
        sqlState: .insufficientPrivilege, message: "permission denied", detail: "The role viewer may look (SHOW) only.")
    static let tooManyConsoles = ServerError(severity: .fatal, sqlState: .tooManyConnections, message: "too many consoles are open")
}
