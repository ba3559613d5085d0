import CommitCore
import ShardModel
import Testing

@Suite struct RecoveryCoreTests {
    let core = RecoveryCore(cluster: "c1", patience: .seconds(10))
    let id = GlobalTransactionIDTests.plain
    var name: String { id.name(of: 1) }

    @Test func saysTheNextStepFromWhatIsKnown() {
        let old = InDoubt(name: name, age: .seconds(10))
        #expect(core.step(for: old, decision: nil) == .lookUp(id))
        #expect(core.step(for: old, decision: Decision(committed: true)) == .commit)
        #expect(core.step(for: old, decision: Decision(committed: false)) == .rollBack)
        #expect(core.step(for: old, decision: Decision(committed: nil)) == .exclude(id))
        #expect(core.step(for: old, decision: .unreachable) == .leave(.deciderUnreachable(ShardID("shard-1"))))
    }

    @Test func leavesWhatIsYoungOrNotOurs() {
        #expect(core.step(for: InDoubt(name: name, age: .seconds(9)), decision: .committed) == .leave(.young))
        #expect(core.step(for: InDoubt(name: "someone's", age: .seconds(99)), decision: .excluded) == .leave(.foreign))
        let other = RecoveryCore(cluster: "c2")
        #expect(other.step(for: InDoubt(name: name, age: .seconds(99)), decision: .excluded) == .leave(.foreign))
    }

    @Test func looksAgainWhenTheOldestComesOfAge() {
        #expect(core.pause(after: .milliseconds(10), young: []) == .seconds(1))
        // A look that is slow is rare, but not too rare.
        #expect(core.pause(after: .milliseconds(500), young: []) == .seconds(2))
        #expect(core.pause(after: .seconds(60), young: []) == .seconds(3))
        #expect(core.pause(after: .milliseconds(500), young: [.seconds(1), .milliseconds(8500), .seconds(3)]) == .milliseconds(1500))
        #expect(core.pause(after: .milliseconds(10), young: [.seconds(1)]) == .seconds(1))
        // It does not spin.
        #expect(core.pause(after: .milliseconds(10), young: [.milliseconds(9999), .seconds(20)]) == .milliseconds(100))
    }

    private func record(committed: Bool = true, age: Duration = .seconds(60), _ participants: String...) -> DecisionRecord {
        DecisionRecord(key: id.key, isCommitted: committed, age: age, participants: participants.map { ShardID($0) })
    }

    private func forgets(_ record: DecisionRecord, _ inDoubt: [String: [String]], shards: Set<String> = ["shard-1", "b", "c"]) -> Bool {
        let lists = Dictionary(uniqueKeysWithValues: inDoubt.map { (ShardID($0.key), $0.value) })
        return core.forgettable([record], of: ShardID("shard-1"), inDoubt: lists, shards: Set(shards.map { ShardID($0) })) == [id]
    }

    @Test func aRecordIsNeededWhileAParticipantIsPreparedOrCannotBeAsked() {
        #expect(forgets(record("shard-1", "b"), ["shard-1": [], "b": []]))
        #expect(!forgets(record("shard-1", "b"), ["shard-1": [], "b": [name]]))
        #expect(!forgets(record("shard-1", "b"), ["shard-1": [], "b": [], "c": [name]]))
        #expect(!forgets(record("shard-1", "b"), ["shard-1": []]))
        #expect(!forgets(record(age: .seconds(1), "shard-1"), ["shard-1": []]))
    }

    @Test func aShardThatTheCatalogDoesNotNameMayBeNewAndKeepsItsRecord() {
        #expect(!forgets(record("shard-1", "new"), ["shard-1": [], "b": [], "c": []]))
    }

    @Test func anAbortMarkerIsNeededUntilEveryShardWasAsked() {
        #expect(!forgets(record(committed: false), ["shard-1": [], "b": []]))
        #expect(forgets(record(committed: false), ["shard-1": [], "b": [], "c": ["other"]]))
    }

    @Test func recordsOfOthersAreNotTouched() {
        let lists: [ShardID: [String]] = [ShardID("shard-1"): []]
        #expect(core.forgettable([record("shard-1")], of: ShardID("b"), inDoubt: lists, shards: []) == [])
        let strange = DecisionRecord(key: "strange", isCommitted: true, age: .seconds(60), participants: [])
        #expect(core.forgettable([strange], of: ShardID("shard-1"), inDoubt: lists, shards: []) == [])
    }

    @Test func statementsCarryOnlyHarmlessText() {
        let hostile = try! GlobalTransactionID(cluster: "a'b", router: "\\", start: 1, number: 2, decider: ShardID("x\"y"))
        #expect(CommitStatements.prepare(hostile, position: 1) == "PREPARE TRANSACTION 'pgmosaic:a%27b:%5c:1-2:x%22y:1'")
        #expect(CommitStatements.decide(hostile, participants: [ShardID("it's"), ShardID("b\\")])[0].contains("ARRAY['it''s', E'b\\\\']"))
        #expect(CommitStatements.decide(hostile, participants: []).last == "COMMIT")
        #expect(CommitStatements.rollBackPrepared("a'b\\") == "ROLLBACK PREPARED E'a''b\\\\'")
        #expect(CommitStatements.lookUp([]).hasSuffix("IN (NULL)"))
    }
}
