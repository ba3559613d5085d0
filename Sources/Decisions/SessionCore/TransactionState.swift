/// A client's transaction as PostgreSQL would see it: idle, open, or failed until it is ended.
///
/// The shards learn of it late: BEGIN and savepoints are repeated on a shard when a statement first touches it
/// (`replay`), so this value keeps what has to be repeated.
@usableFromInline package struct TransactionState: Hashable, Sendable {
    @usableFromInline package enum Phase: UInt8, Hashable, Sendable {
        case idle = 0x49  // 'I', the status byte of ReadyForQuery
        case open = 0x54  // 'T'
        case failed = 0x45  // 'E'
    }

    @usableFromInline package private(set) var phase: Phase = .idle
    private var options = ""
    /// What happened since BEGIN that a shard joining later must repeat, in order.
    private var history: [Event] = [] {
        didSet { historyCount = history.count }
    }
    /// How many events a shard that joins now would have to repeat.
    @usableFromInline package private(set) var historyCount = 0
    /// The settings before the transaction: ROLLBACK brings them back.
    private var settingsAtStart = SessionSettings()

    private enum Event: Hashable, Sendable {
        case savepoint(String, settings: SessionSettings)
        /// SET LOCAL.
        case local(String)
        /// SET TRANSACTION.
        case characteristics(String)
    }

    package enum SavepointError: Error, Hashable, Sendable { case unknown }

    package init() {}

    // Inlinable, because a call from another module gets a copy of the whole value, references and all.
    @inlinable package var isIdle: Bool { phase == .idle }
    @inlinable package var isFailed: Bool { phase == .failed }
    @inlinable package var statusByte: UInt8 { phase.rawValue }

    package mutating func begin(options: String, settings: SessionSettings) {
        self = TransactionState()
        phase = .open
        self.options = options
        settingsAtStart = settings
    }

    /// A statement failed, or was refused. Outside a transaction nothing changes.
    package mutating func fail() {
        if phase == .open { phase = .failed }
    }

    /// The transaction is over. Returns the settings that hold from now on.
    package mutating func end(committed: Bool, settings: SessionSettings) -> SessionSettings {
        let after = committed ? settings : settingsAtStart
        self = TransactionState()
        return after
    }

    /// The next transaction of COMMIT AND CHAIN / ROLLBACK AND CHAIN keeps the options, and what SET TRANSACTION made of them.
    package mutating func chain(committed: Bool, settings: SessionSettings) -> SessionSettings {
        let options = self.options
        let characteristics = history.filter { if case .characteristics = $0 { true } else { false } }
        let after = end(committed: committed, settings: settings)
        begin(options: options, settings: after)
        history = characteristics
        return after
    }

    package mutating func setSavepoint(_ name: String, settings: SessionSettings) {
        history.append(.savepoint(name, settings: settings))
    }

    /// Local settings made since the savepoint stay; the characteristics go back to what they were, as in PostgreSQL.
    package mutating func release(_ name: String) throws(SavepointError) {
        let index = try self.index(of: name)
        history = history[..<index] + history[index...].filter { if case .local = $0 { true } else { false } }
    }

    /// Back to the savepoint, which stays; a failed transaction goes on. Returns the settings of that time.
    package mutating func rollBack(to name: String) throws(SavepointError) -> SessionSettings {
        let index = try self.index(of: name)
        history.removeSubrange((index + 1)...)
        if phase == .failed { phase = .open }
        guard case .savepoint(_, let settings) = history[index] else { throw .unknown }
        return settings
    }

    package func hasSavepoint(_ name: String) -> Bool { (try? index(of: name)) != nil }

    private func index(of name: String) throws(SavepointError) -> Int {
        let found = history.lastIndex { if case .savepoint(name, _) = $0 { true } else { false } }
        guard let found else { throw .unknown }
        return found
    }

    /// A SET LOCAL, or with `isCharacteristic` a SET TRANSACTION, that took effect.
    package mutating func recordLocal(_ statement: String, isCharacteristic: Bool = false) {
        history.append(isCharacteristic ? .characteristics(statement) : .local(statement))
    }

    /// BEGIN with its options.
    package var beginStatement: String { options.isEmpty ? "BEGIN" : "BEGIN \(options)" }

    /// What a shard that has seen the first `count` events of the transaction still has to be told, one statement an element.
    package func replay(after count: Int) -> [String] {
        history.dropFirst(count).map { event in
            switch event {
            case .savepoint(let name, _): "SAVEPOINT \(quoteIdentifier(name))"
            case .local(let statement), .characteristics(let statement): statement
            }
        }
    }

    /// A plain BEGIN cannot fail, so that a statement may be sent behind it without waiting.
    package var startsPlainly: Bool { options.isEmpty && history.isEmpty }
}

/// `name` as a quoted SQL identifier.
package func quoteIdentifier(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
}

/// `text` as a SQL string literal, whatever standard_conforming_strings is.
package func quoteLiteral(_ text: String) -> String {
    let quoted = "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    guard quoted.utf8.contains(UInt8(ascii: "\\")) else { return quoted }
    return "E" + quoted.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
}
