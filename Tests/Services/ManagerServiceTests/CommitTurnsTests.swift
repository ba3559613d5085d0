@testable import ManagerService
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5))) struct CommitTurnsTests {
    /// What happened, in order.
    private final class Record: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock(\.self) }
        func wait(until holds: ([String]) -> Bool) async throws { while !holds(all) { try await Task.sleep(for: .milliseconds(2)) } }
    }

    /// Holds the turn until the record has "over".
    private func hold(_ turns: CommitTurns, _ record: Record) async throws {
        try await turns.inTurn {
            record.add("held")
            try await record.wait { $0.contains("over") }
            record.add("given")
        }
    }

    @Test func theyComeOneAfterTheOtherInTheOrderInWhichTheyBegan() async throws {
        let turns = CommitTurns(patience: .seconds(600))
        let record = Record()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await hold(turns, record) }
            try await record.wait { $0 == ["held"] }
            for number in 0..<10 {
                group.addTask {
                    try await turns.inTurn {
                        record.add("begin \(number)")
                        try await Task.sleep(for: .milliseconds(2))
                        record.add("end \(number)")
                    }
                }
                try await record.wait { _ in turns.waiting == number + 1 }
            }
            record.add("over")
            try await group.waitForAll()
        }
        #expect(record.all == ["held", "over", "given"] + (0..<10).flatMap { ["begin \($0)", "end \($0)"] })
        #expect(turns.waiting == 0)
    }

    /// The store hangs: who waits is not to hang with it for longer than it would alone.
    @Test func whoHasWaitedLongEnoughOrIsCancelledGoesOnWithoutAndTakesNobodysTurn() async throws {
        let turns = CommitTurns(patience: .milliseconds(50))
        let record = Record()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await hold(turns, record) }
            try await record.wait { $0 == ["held"] }
            try await turns.inTurn { record.add("impatient") }
            let waiting = Task { try await turns.inTurn { record.add("cancelled") } }
            waiting.cancel()
            try await waiting.value
            // Neither gave back what it never had.
            #expect(record.all.last == "cancelled" && !record.all.contains("given") && turns.waiting == 0)
            record.add("over")
            try await group.waitForAll()
        }
        try await turns.inTurn { record.add("free") }
        #expect(record.all == ["held", "impatient", "cancelled", "over", "given", "free"])
    }

    @Test func aTurnIsPassedOnWhenItsHolderFails() async throws {
        struct Failure: Error {}
        let turns = CommitTurns(patience: .seconds(600))
        await #expect(throws: Failure.self) { try await turns.inTurn { throw Failure() } }
        #expect(try await turns.inTurn { 1 } == 1)
    }
}
