import CommitCore
import Testing

@Suite struct CommitMachineTests {
    private func machine(_ wrote: Bool...) -> CommitMachine {
        CommitMachine(wrote.enumerated().map { CommitParticipant(index: $0.offset, wrote: $0.element) })
    }

    @Test func withoutParticipantsThereIsNothingToDo() {
        var machine = machine()
        #expect(machine.start() == [.finish(.committed, unfinished: [])])
        #expect(machine.isDone)
    }

    @Test func readersJustCommitAndTheOnlyWriterComesLast() {
        var machine = machine(false, true, false)
        #expect(machine.decider == nil)
        #expect(machine.start() == [.commit(0), .commit(2)])
        #expect(machine.receive(.committed(2)) == [])
        #expect(machine.receive(.committed(0)) == [.commit(1)])
        #expect(machine.receive(.committed(1)) == [.finish(.committed, unfinished: [])])
    }

    @Test func aReadersFailureRollsBackTheWriters() {
        var machine = machine(false, true, true)
        _ = machine.start()
        #expect(machine.receive(.failed(0, sqlState: "40001")) == [.rollBack(1), .rollBack(2)])
        #expect(machine.receive(.rolledBack(2)) == [])
        #expect(machine.receive(.rolledBack(1)) == [.finish(.aborted(.failed(0, sqlState: "40001")), unfinished: [])])
    }

    @Test func aConnectionLostInTheOnlyWritersCommitIsUnknown() {
        var machine = machine(true)
        #expect(machine.start() == [.commit(0)])
        #expect(machine.receive(.lost(0)) == [.finish(.unknown(lost: 0), unfinished: [])])
    }

    @Test func allButTheDeciderPrepareAndItsCommitDecides() {
        var machine = machine(true, true, false, true)
        #expect(machine.decider == 0)
        #expect(machine.start() == [.commit(2)])
        #expect(machine.receive(.committed(2)) == [.prepare(1), .prepare(3)])
        #expect(machine.receive(.prepared(3)) == [])
        #expect(machine.receive(.prepared(1)) == [.decide(0)])
        #expect(machine.receive(.decisionRecorded(0)) == [.commitPrepared(1), .commitPrepared(3)])
        #expect(machine.receive(.committed(1)) == [])
        #expect(machine.receive(.committed(3)) == [.finish(.committed, unfinished: []), .forgetDecision(0)])
    }

    @Test func aFailedPreparationUndoesThoseThatPreparedLater() {
        var machine = machine(true, true, true)
        _ = machine.start()
        #expect(machine.receive(.failed(1, sqlState: "23505")) == [.rollBack(0)])
        #expect(machine.receive(.prepared(2)) == [.rollBackPrepared(2)])
        #expect(machine.receive(.rolledBack(0)) == [])
        #expect(machine.receive(.rolledBack(2)) == [.finish(.aborted(.failed(1, sqlState: "23505")), unfinished: [])])
    }

    @Test func aRefusedDecisionUndoesWhatIsPrepared() {
        var machine = machine(true, true)
        _ = machine.start()
        _ = machine.receive(.prepared(1))
        #expect(machine.receive(.failed(0, sqlState: "23505")) == [.rollBackPrepared(1)])
        #expect(machine.receive(.lost(1)) == [.finish(.aborted(.failed(0, sqlState: "23505")), unfinished: [1])])
    }

    @Test func aLostDecisionIsLookedUpBeforeAnythingIsUndone() {
        for (answer, actions) in [
            (CommitEvent.decisionFound, [CommitAction.commitPrepared(1)]),
            (.decisionExcluded, [.rollBackPrepared(1)]),
            (.decisionUnreachable, [.finish(.unknown(lost: 0), unfinished: [1])]),
            (.timeout, [.finish(.unknown(lost: 0), unfinished: [1])]),
        ] {
            var machine = machine(true, true)
            _ = machine.start()
            _ = machine.receive(.prepared(1))
            #expect(machine.receive(.lost(0)) == [.lookUpDecision(0)])
            #expect(machine.receive(answer) == actions)
        }
    }

    @Test func anExcludedDecisionIsAnAbortOnlyWhenAPreparedTransactionIsThereToBeUndone() {
        for (answer, outcome) in [
            (CommitEvent.rolledBack(1), CommitOutcome.aborted(.excluded(0))),
            (.failed(1, sqlState: "42704"), .unknown(lost: 0)),
        ] {
            var machine = machine(true, true)
            _ = machine.start()
            _ = machine.receive(.prepared(1))
            _ = machine.receive(.timeout)
            #expect(machine.receive(.decisionExcluded) == [.rollBackPrepared(1)])
            #expect(machine.receive(answer) == [.finish(outcome, unfinished: [])])
        }
    }

    @Test(arguments: [false, true]) func afterTheDecisionALostParticipantIsAskedAnewBeforeTheClientIsTold(comesBack: Bool) {
        var machine = machine(true, true, true)
        _ = machine.start()
        _ = machine.receive(.prepared(1))
        _ = machine.receive(.prepared(2))
        // Its prepared transaction outlives the connection.
        #expect(machine.receive(.lost(2)) == [])
        #expect(machine.receive(.decisionRecorded(0)) == [.commitPrepared(1), .commitPreparedAnew(2)])
        #expect(machine.receive(.lost(1)) == [.commitPreparedAnew(1)])
        #expect(machine.receive(.committed(1)) == [])
        if comesBack {
            #expect(machine.receive(.committed(2)) == [.finish(.committed, unfinished: []), .forgetDecision(0)])
        } else {
            #expect(machine.receive(.timeout) == [.abandon(2), .finish(.committed, unfinished: [2])])
        }
    }

    @Test func aTimeoutGivesUpThoseWhoOweAnAnswer() {
        var machine = machine(true, true, true)
        _ = machine.start()
        _ = machine.receive(.prepared(1))
        #expect(machine.receive(.timeout) == [.abandon(2), .rollBack(0), .rollBackPrepared(1)])
        #expect(machine.receive(.timeout) == [.abandon(0), .abandon(1), .finish(.aborted(.timedOut), unfinished: [1, 2])])
        #expect(machine.receive(.prepared(2)) == [])
        #expect(machine.ignoredEvents == 1)
    }

    @Test func aPreparedTransactionThatIsGoneWasFinishedByRecovery() {
        var machine = machine(true, true)
        _ = machine.start()
        _ = machine.receive(.prepared(1))
        _ = machine.receive(.decisionRecorded(0))
        #expect(machine.receive(.failed(1, sqlState: "42704")) == [.finish(.committed, unfinished: []), .forgetDecision(0)])
    }

    @Test func nothingHappensBeforeTheStartOrTwice() {
        var machine = machine(true)
        #expect(machine.receive(.committed(0)) == [])
        #expect(machine.start() == [.commit(0)])
        #expect(machine.start() == [])
        #expect(machine.ignoredEvents == 2)
    }
}
