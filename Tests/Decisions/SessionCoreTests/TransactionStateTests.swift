import SessionCore
import Testing

@Suite struct TransactionStateTests {
    private static func settings(_ value: Int) -> SessionSettings {
        var settings = SessionSettings()
        if value > 0 { settings.set("a", statement: "SET a = \(value)") }
        return settings
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
        state.recordLocal("SET LOCAL x = 1")
        state.setSavepoint("A \"b\"", settings: SessionSettings())
        #expect(state.beginStatement == "BEGIN READ ONLY")
        #expect(!state.startsPlainly)
        #expect(state.replay(after: 0) == ["SET LOCAL x = 1", "SAVEPOINT \"A \"\"b\"\"\""])
        #expect(state.replay(after: 1) == ["SAVEPOINT \"A \"\"b\"\"\""])
        #expect(state.replay(after: 2) == [])
    }

    @Test func releaseForgetsTheSavepointAndLaterOnesAndKeepsLocalSettings() throws {
        var state = TransactionState()
        state.begin(options: "", settings: SessionSettings())
        state.setSavepoint("a", settings: SessionSettings())
        state.recordLocal("SET LOCAL x = 1")
        state.recordLocal("SET TRANSACTION READ ONLY", isCharacteristic: true)
        state.setSavepoint("b", settings: SessionSettings())
        try state.release("a")
        #expect(!state.hasSavepoint("a") && !state.hasSavepoint("b"))
        // PostgreSQL gives the characteristics back at the end of a subtransaction, however it ends.
        #expect(state.replay(after: 0) == ["SET LOCAL x = 1"])
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
        state.recordLocal("SET LOCAL x = 1")
        state.recordLocal("SET TRANSACTION READ ONLY", isCharacteristic: true)
        state.fail()
        #expect(state.chain(committed: false, settings: Self.settings(2)) == Self.settings(1))
        #expect(state.phase == .open)
        #expect(state.beginStatement == "BEGIN ISOLATION LEVEL SERIALIZABLE")
        #expect(state.replay(after: 0) == ["SET TRANSACTION READ ONLY"])
    }

    // MARK: Against a model

    /// PostgreSQL's subtransactions: a stack of frames, each with its savepoint and its own SET LOCAL and SET.
    private struct Model {
        struct Frame { var name: String?, locals: [String], settings: SessionSettings }
        var frames: [Frame]
        var isFailed = false

        mutating func apply(_ step: Step, _ state: inout TransactionState, _ settings: inout SessionSettings) {
            switch step {
            case .savepoint(let name):
                guard !isFailed else { return }
                state.setSavepoint(name, settings: settings)
                frames.append(Frame(name: name, locals: [], settings: settings))
            case .local(let text):
                guard !isFailed else { return }
                state.recordLocal(text)
                frames[frames.count - 1].locals.append(text)
            case .set(let value):
                guard !isFailed else { return }
                settings = TransactionStateTests.settings(value)
            case .fail:
                state.fail()
                isFailed = true
            case .release(let name):
                guard !isFailed, let index = frames.lastIndex(where: { $0.name == name }) else {
                    #expect(isFailed || !state.hasSavepoint(name))
                    return
                }
                try? state.release(name)
                let locals = frames[index...].flatMap(\.locals)
                frames.removeSubrange(index...)
                frames[frames.count - 1].locals += locals
            case .rollBackTo(let name):
                guard let index = frames.lastIndex(where: { $0.name == name }) else {
                    #expect(!state.hasSavepoint(name))
                    return
                }
                if let old = try? state.rollBack(to: name) { settings = old }
                frames.removeSubrange((index + 1)...)
                frames[index].locals = []
                #expect(settings == frames[index].settings)
                isFailed = false
            }
        }

        var replay: [String] { frames.flatMap { ($0.name.map { ["SAVEPOINT \"\($0)\""] } ?? []) + $0.locals } }
    }

    private enum Step: CaseIterable {
        case savepoint(String), local(String), set(Int), fail, release(String), rollBackTo(String)
        static let allCases: [Step] = [
            .savepoint("a"), .savepoint("b"), .local("SET LOCAL x = 1"), .set(2), .fail, .release("a"), .release("b"), .rollBackTo("a"),
            .rollBackTo("b"),
        ]
    }

    @Test func followsPostgreSQLThroughEveryShortSequence() {
        func extend(_ state: TransactionState, _ settings: SessionSettings, _ model: Model, depth: Int) {
            #expect(state.isFailed == model.isFailed)
            #expect(state.replay(after: 0) == model.replay)
            #expect(state.historyCount == model.replay.count)
            guard depth < 5 else { return }
            for step in Step.allCases {
                var (state, settings, model) = (state, settings, model)
                model.apply(step, &state, &settings)
                extend(state, settings, model, depth: depth + 1)
            }
        }
        var state = TransactionState()
        state.begin(options: "", settings: SessionSettings())
        extend(state, SessionSettings(), Model(frames: [.init(name: nil, locals: [], settings: SessionSettings())]), depth: 0)
    }
}
