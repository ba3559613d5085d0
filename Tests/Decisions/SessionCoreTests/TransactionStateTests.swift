import RoutePlanning
import SessionCore
import Testing

@Suite struct TransactionStateTests {
    private static func settings(_ value: Int) -> SessionSettings {
        var settings = SessionSettings()
        if value > 0 { settings.set("a", statement: "SET a = \(value)") }
        return settings
    }

    private static func replay(_ state: TransactionState, after count: Int) -> [String] {
        state.replay(after: count, from: SessionSettings(), to: SessionSettings())
    }

    @Test func hasTheStatusBytesOfReadyForQuery() {
        var state = TransactionState()
        #expect(state.statusByte == UInt8(ascii: "I"))
        state.fail()
        #expect(state.isIdle)
        state.begin(options: "", settings: SessionSettings())
        #expect(state.statusByte == UInt8(ascii: "T"))
        state.fail()
        #expect(state.statusByte == UInt8(ascii: "E"))
    }

    @Test func aShardThatJoinsLateIsToldWhatItMissed() {
        var state = TransactionState()
        state.begin(options: "READ ONLY", settings: SessionSettings())
        state.recordLocal("SET LOCAL x = 1", settings: SessionSettings())
        state.setSavepoint("A \"b\"", settings: SessionSettings())
        #expect(state.beginStatement == "BEGIN READ ONLY")
        #expect(!state.startsPlainly)
        #expect(Self.replay(state, after: 0) == ["SET LOCAL x = 1", "SAVEPOINT \"A \"\"b\"\"\""])
        #expect(Self.replay(state, after: 1) == ["SAVEPOINT \"A \"\"b\"\"\""])
        #expect(Self.replay(state, after: 2) == [])
    }

    @Test func releaseForgetsTheSavepointAndLaterOnesAndKeepsLocalSettings() throws {
        var state = TransactionState()
        state.begin(options: "", settings: SessionSettings())
        state.setSavepoint("a", settings: SessionSettings())
        state.recordLocal("SET LOCAL x = 1", settings: SessionSettings())
        state.recordLocal("SET TRANSACTION READ ONLY", isCharacteristic: true, settings: SessionSettings())
        state.setSavepoint("b", settings: SessionSettings())
        try state.release("a")
        #expect(!state.hasSavepoint("a") && !state.hasSavepoint("b"))
        // PostgreSQL gives the characteristics back at the end of a subtransaction, however it ends.
        #expect(Self.replay(state, after: 0) == ["SET LOCAL x = 1"])
    }

    @Test func aSavepointOfTheSameNameHidesTheFormer() throws {
        var state = TransactionState()
        state.begin(options: "", settings: SessionSettings())
        state.setSavepoint("a", settings: Self.settings(1))
        state.setSavepoint("a", settings: Self.settings(2))
        #expect(try state.rollBack(to: "a") == Self.settings(2))
        #expect(try state.rollBack(to: "a") == Self.settings(2))
        try state.release("a")
        #expect(try state.rollBack(to: "a") == Self.settings(1))
        #expect(throws: TransactionState.SavepointError.unknown) { try state.release("b") }
    }

    @Test func theEndGivesBackTheSettingsOfTheStartUnlessItCommits() {
        for committed in [true, false] {
            var state = TransactionState()
            state.begin(options: "", settings: Self.settings(1))
            #expect(state.end(committed: committed, settings: Self.settings(2)) == Self.settings(committed ? 2 : 1))
            #expect(state == TransactionState())
        }
    }

    @Test func aChainedTransactionKeepsTheCharacteristics() {
        var state = TransactionState()
        state.begin(options: "ISOLATION LEVEL SERIALIZABLE", settings: Self.settings(1))
        state.recordLocal("SET LOCAL x = 1", settings: SessionSettings())
        state.recordLocal("SET TRANSACTION READ ONLY", isCharacteristic: true, settings: SessionSettings())
        #expect(state.chain(committed: false, settings: Self.settings(2)) == Self.settings(1))
        #expect(state.phase == .open)
        #expect(state.beginStatement == "BEGIN ISOLATION LEVEL SERIALIZABLE")
        #expect(state.replay(after: 0, from: Self.settings(1), to: Self.settings(1)) == ["SET TRANSACTION READ ONLY"])
    }

    @Test func optionsOfABlockComeBehindWhatItsPipelineHasSet() {
        var state = TransactionState()
        state.recordLocal("SET TRANSACTION READ WRITE", isCharacteristic: true, settings: SessionSettings())
        state.begin(options: "READ ONLY", settings: SessionSettings())
        #expect(state.beginStatement == "BEGIN")
        #expect(Self.replay(state, after: 0) == ["SET TRANSACTION READ WRITE", "SET TRANSACTION READ ONLY"])
        #expect(Self.replay(state, after: 2) == [])
    }

    @Test func anErrorTakesBackWhatWasSetSinceTheLastSavepoint() {
        for hasSavepoint in [false, true] {
            var state = TransactionState()
            state.begin(options: "ISOLATION LEVEL SERIALIZABLE", settings: SessionSettings())
            state.recordLocal("SET TRANSACTION READ ONLY", isCharacteristic: true, settings: SessionSettings())
            if hasSavepoint { state.setSavepoint("s", settings: SessionSettings()) }
            state.recordLocal("SET TRANSACTION NOT DEFERRABLE", isCharacteristic: true, settings: SessionSettings())
            state.fail()
            _ = state.chain(committed: false, settings: SessionSettings())
            #expect(state.beginStatement == (hasSavepoint ? "BEGIN ISOLATION LEVEL SERIALIZABLE" : "BEGIN"))
            #expect(Self.replay(state, after: 0) == (hasSavepoint ? ["SET TRANSACTION READ ONLY"] : []))
        }
    }

    @Test func anErrorTakesNothingBackThatAChainHasBrought() {
        var state = TransactionState()
        state.begin(options: "READ ONLY", settings: SessionSettings())
        state.recordLocal("SET TRANSACTION NOT DEFERRABLE", isCharacteristic: true, settings: SessionSettings())
        for _ in 0..<2 {
            _ = state.chain(committed: true, settings: SessionSettings())
            state.recordLocal("SET TRANSACTION READ WRITE", isCharacteristic: true, settings: SessionSettings())
            state.fail()
            _ = state.chain(committed: false, settings: SessionSettings())
            #expect(state.isChained && state.beginStatement == "BEGIN READ ONLY")
            #expect(Self.replay(state, after: 0) == ["SET TRANSACTION NOT DEFERRABLE"])
        }
    }

    // MARK: Against a model

    /// What a PostgreSQL session knows of one setting: its value for the session, the one in effect, and both at each savepoint.
    private struct Server: Equatable {
        struct Values: Equatable { var session = 0, effective = 0 }
        struct Savepoint: Equatable { var name: String, values: Values }
        var values = Values()
        var savepoints: [Savepoint] = []

        /// False where PostgreSQL would say that there is no such savepoint.
        @discardableResult
        mutating func run(_ statement: String) -> Bool {
            let words = statement.split(separator: " ").map { String($0).replacing("\"", with: "") }
            switch (words[0], words[1]) {
            case ("SET", "LOCAL"): values.effective = Int(words[4])!
            case ("SET", _): values = Values(session: Int(words[3])!, effective: Int(words[3])!)
            case ("RESET", _): values = Values()
            case ("SAVEPOINT", _): savepoints.append(Savepoint(name: words[1], values: values))
            case ("RELEASE", _):
                guard let index = savepoints.lastIndex(where: { $0.name == words[1] }) else { return false }
                savepoints.removeSubrange(index...)
            default:
                guard let index = savepoints.lastIndex(where: { $0.name == words[2] }) else { return false }
                savepoints.removeSubrange((index + 1)...)
                values = savepoints[index].values
            }
            return true
        }

        func running(_ statements: [String]) -> Server { statements.reduce(into: self) { $0.run($1) } }
    }

    /// A router's transaction on two shards: one runs what the client says, the other is told when it is spoken to.
    private struct Model {
        var state = TransactionState()
        var settings = SessionSettings()
        var first = Server()
        var second = Server()
        var secondSettings = SessionSettings()
        var secondApplied = 0

        init() { state.begin(options: "", settings: settings) }

        mutating func catchUp() {
            second = second.running(state.replay(after: secondApplied, from: secondSettings, to: settings))
            (secondSettings, secondApplied) = (settings, state.historyCount)
        }

        private mutating func runOnBoth(_ statement: String) {
            let known = (first.run(statement), second.run(statement))
            #expect(known == (true, true), "\(statement)")
        }

        mutating func apply(_ step: Step) {
            switch step {
            case .fail: state.fail()
            case .speak: if !state.isFailed { catchUp() }
            case .local(let value):
                guard !state.isFailed else { return }
                first.run("SET LOCAL a = \(value)")
                state.recordLocal("SET LOCAL a = \(value)", settings: settings)
            case .set(let value):
                guard !state.isFailed else { return }
                let statement = value == 0 ? "RESET a" : "SET a = \(value)"
                first.run(statement)
                settings = TransactionStateTests.settings(value)
                state.recordSession(statement, settings: settings)
            case .savepoint(let name):
                guard !state.isFailed else { return }
                catchUp()
                runOnBoth("SAVEPOINT \(name)")
                state.setSavepoint(name, settings: settings)
                secondApplied = state.historyCount
            case .release(let name):
                guard !state.isFailed, state.hasSavepoint(name) else { return }
                catchUp()
                runOnBoth("RELEASE \(name)")
                try? state.release(name)
                secondApplied = state.historyCount
            case .rollBackTo(let name):
                guard state.hasSavepoint(name) else { return }
                if !state.isFailed { catchUp() }
                runOnBoth("ROLLBACK TO \(name)")
                if let old = try? state.rollBack(to: name) { settings = old }
                (secondSettings, secondApplied) = (settings, state.historyCount)
            }
        }

        /// A shard that joins now, one that joined before, and the one that ran everything are alike.
        func check(_ steps: [Step]) {
            guard !state.isFailed else { return }
            #expect(state.historyCount == 0 || !state.replay(after: 0, from: SessionSettings(), to: settings).isEmpty)
            let joining = Server().running(state.replay(after: 0, from: SessionSettings(), to: settings))
            #expect(joining == first, "joining after \(steps)")
            var model = self
            model.catchUp()
            #expect(model.second == first, "catching up after \(steps)")
        }
    }

    private enum Step: CaseIterable {
        case savepoint(String), local(Int), set(Int), fail, speak, release(String), rollBackTo(String)
        static let allCases: [Step] = [
            .savepoint("a"), .savepoint("b"), .local(1), .set(2), .set(0), .fail, .speak, .release("a"), .rollBackTo("a"), .rollBackTo("b"),
        ]
    }

    @Test func shardsAreWherePostgreSQLWouldBeAfterEveryShortSequence() {
        func extend(_ model: Model, _ steps: [Step]) {
            model.check(steps)
            guard steps.count < 5 else { return }
            for step in Step.allCases {
                var model = model
                model.apply(step)
                extend(model, steps + [step])
            }
        }
        extend(Model(), [])
    }

    // MARK: Modes

    @Test(arguments: [
        ([], "", [], nil, nil), ([], "READ ONLY", [], true, nil), ([], "ISOLATION LEVEL REPEATABLE READ, READ ONLY", [], true, true),
        ([], "READ ONLY", ["SET TRANSACTION READ WRITE"], false, nil), ([], "", ["set transaction read only, isolation level read committed"], true, false),
        (["SET default_transaction_read_only = on"], "", [], true, nil), (["SET default_transaction_read_only TO 'off'"], "READ ONLY", [], true, nil),
        (["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET default_transaction_read_only = off"], "", [], false, nil),
        (["SELECT pg_catalog.set_config('default_transaction_isolation', 'repeatable read', false)"], "READ ONLY", [], true, true),
        ([], "READ ONLY", ["SET CONSTRAINTS ALL DEFERRED"], true, nil),
    ] as [([String], String, [String], Bool?, Bool?)])
    func theModesAreWhatWasSaidLast(defaults: [String], options: String, inside: [String], isReadOnly: Bool?, isOneSnapshot: Bool?) throws {
        var settings = SessionSettings()
        for statement in defaults {
            let name = ["isolation", "read_only"].first { statement.contains("default_transaction_\($0)") }
            settings.set(name.map { "default_transaction_\($0)" } ?? SessionSettings.transactionCharacteristics, statement: statement)
        }
        var state = TransactionState()
        state.begin(options: options, settings: settings)
        for statement in inside { state.recordLocal(statement, isCharacteristic: true, settings: settings) }
        let modes = try #require(state.modes(defaults: settings))
        #expect(modes.isReadOnly == isReadOnly)
        #expect(modes.isOneSnapshot == isOneSnapshot)
    }

    @Test func theModesAreUnknownBehindWhatMayBeAboutThem() {
        var settings = SessionSettings()
        var state = TransactionState()
        state.begin(options: "READ ONLY", settings: settings)
        for name in ["transaction_read_only", "transaction_isolation"] {
            settings.set(name, statement: "SET \(name) = off")
            #expect(state.modes(defaults: settings) == nil)
            settings.reset(name)
        }
        for statement in ["SET default_transaction_read_only = $1", "SET default_transaction_read_only TO DEFAULT", "SET default_transaction_read_only = maybe"] {
            settings.set("default_transaction_read_only", statement: statement)
            #expect(state.modes(defaults: settings) == nil)
        }
        state.recordLocal("SET LOCAL transaction_read_only = off", settings: SessionSettings())
        #expect(state.modes(defaults: SessionSettings()) == nil)
    }
}
