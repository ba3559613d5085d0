package import RoutePlanning
internal import SQLSyntax

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
    /// It has its options of a chain, and `chainedCount` events: no error takes them back, as it does those of BEGIN and SET TRANSACTION.
    package private(set) var isChained = false
    private var chainedCount = 0
    /// What happened since BEGIN that a shard joining later must repeat, in order.
    private var history: [Event] = [] {
        didSet { historyCount = history.count }
    }
    /// How many events a shard that joins now would have to repeat.
    @usableFromInline package private(set) var historyCount = 0
    /// The settings before the transaction: ROLLBACK brings them back.
    private var settingsAtStart = SessionSettings()

    private struct Event: Hashable, Sendable {
        enum Kind: Hashable, Sendable {
            case savepoint(String)
            /// SET LOCAL.
            case local
            /// SET or RESET behind a SET LOCAL, which it may end.
            case session
            /// SET TRANSACTION.
            case characteristics
        }
        let kind: Kind
        let statement: String
        /// Those of the session at that moment: a savepoint goes back to them, and what is local comes before or behind them.
        var settings: SessionSettings
    }

    package enum SavepointError: Error, Hashable, Sendable { case unknown }

    package init() {}

    // Inlinable, because a call from another module gets a copy of the whole value, references and all.
    @inlinable package var isIdle: Bool { phase == .idle }
    @inlinable package var isFailed: Bool { phase == .failed }
    @inlinable package var statusByte: UInt8 { phase.rawValue }

    /// What was recorded outside of a block, in a pipeline that BEGIN makes one of, belongs to the block.
    package mutating func begin(options: String, settings: SessionSettings) {
        phase = .open
        settingsAtStart = settings
        guard let last = history.last, !options.isEmpty else {
            self.options = options
            return
        }
        // They come behind what was recorded, which they may contradict (SET TRANSACTION READ WRITE; BEGIN READ ONLY).
        history.append(Event(kind: .characteristics, statement: "SET TRANSACTION \(options)", settings: last.settings))
    }

    /// The transaction of a pipeline without BEGIN is over, or was undone.
    package mutating func forgetHistory() {
        if !history.isEmpty { history.removeAll() }
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
        // An error takes back what was set since the last savepoint, or all of it but for what a chain has brought.
        let isFailed = isFailed
        let savepoint = history.lastIndex { if case .savepoint = $0.kind { true } else { false } }
        let options = isFailed && savepoint == nil && !isChained ? "" : options
        let characteristics = history[..<(isFailed ? savepoint ?? chainedCount : history.count)].filter { $0.kind == .characteristics }
        let after = end(committed: committed, settings: settings)
        begin(options: options, settings: after)
        history = characteristics.map { Event(kind: $0.kind, statement: $0.statement, settings: after) }
        isChained = true
        chainedCount = history.count
        return after
    }

    package mutating func setSavepoint(_ name: String, settings: SessionSettings) {
        history.append(Event(kind: .savepoint(name), statement: "SAVEPOINT \(quoteIdentifier(name))", settings: settings))
    }

    /// Local settings made since the savepoint stay; the characteristics go back to what they were, as in PostgreSQL.
    package mutating func release(_ name: String) throws(SavepointError) {
        let index = try self.index(of: name)
        history = history[..<index] + history[index...].filter { $0.kind == .local || $0.kind == .session }
    }

    package var hasSavepoint: Bool { history.contains { if case .savepoint = $0.kind { true } else { false } } }

    /// Back to the savepoint, which stays; a failed transaction goes on. Returns the settings of that time.
    package mutating func rollBack(to name: String) throws(SavepointError) -> SessionSettings {
        let index = try self.index(of: name)
        history.removeSubrange((index + 1)...)
        if phase == .failed { phase = .open }
        return history[index].settings
    }

    package func hasSavepoint(_ name: String) -> Bool { (try? index(of: name)) != nil }

    private func index(of name: String) throws(SavepointError) -> Int {
        let found = history.lastIndex { $0.kind == .savepoint(name) }
        guard let found else { throw .unknown }
        return found
    }

    /// A SET LOCAL, or with `isCharacteristic` a SET TRANSACTION, that took effect.
    package mutating func recordLocal(_ statement: String, isCharacteristic: Bool = false, settings: SessionSettings) {
        history.append(Event(kind: isCharacteristic ? .characteristics : .local, statement: statement, settings: settings))
    }

    /// A SET or RESET took effect, and led to `settings`. Only where something is local does it belong to the history.
    package mutating func recordSession(_ statement: String, settings: SessionSettings) {
        guard history.contains(where: { $0.kind == .local }) else { return }
        history.append(Event(kind: .session, statement: statement, settings: settings))
    }

    /// BEGIN with its options.
    package var beginStatement: String { options.isEmpty ? "BEGIN" : "BEGIN \(options)" }

    /// What a shard that has seen the first `count` events of the transaction, and has the settings `old`, still has to be told so that it is where
    /// the session is, with the settings `new`; one statement an element.
    ///
    /// Each savepoint is made with the settings of its time, for ROLLBACK TO goes back to them.
    package func replay(after count: Int, from old: SessionSettings, to new: SessionSettings) -> [String] {
        var statements: [String] = []
        var settings = old
        for event in history.dropFirst(count) {
            statements += event.settings.statements(from: settings)
            settings = event.settings
            statements.append(event.statement)
        }
        return statements + new.statements(from: settings)
    }

    /// The modes that the transaction has before a server has seen it, in a session whose transactions begin with those of `defaults`. nil: they are not known.
    package func modes(defaults: SessionSettings) -> TransactionModes? {
        guard let spoken = defaults.transactionDefaults else { return nil }
        var modes = TransactionModes()
        for statement in spoken + (options.isEmpty ? [] : ["SET TRANSACTION \(options)"]) where !modes.follow(statement) { return nil }
        for event in history {
            switch event.kind {
            case .savepoint: break
            case .characteristics: guard modes.follow(event.statement) else { return nil }
            // It may be about modes.
            case .local, .session: return nil
            }
        }
        return modes
    }

    /// A plain BEGIN cannot fail, so that a statement may be sent behind it without waiting.
    package var startsPlainly: Bool { options.isEmpty && history.isEmpty }
}
