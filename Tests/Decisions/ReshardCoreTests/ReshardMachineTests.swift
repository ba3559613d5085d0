import Foundation
import LogicalReplication
import ReshardCore
import ShardModel
import Testing

@Suite struct ReshardMachineTests {
    static let forward: [JobStep] = [
        .checking, .preparing, .shielding, .copying, .streaming, .verifying, .arming, .holding, .fencing, .measuring, .catchingUp, .switching, .guarding,
    ]
    static let beforeCutover = Array(forward.prefix(7))
    static let cutover = Array(forward[7...11])

    @Test func aJobThatMeetsNoTroubleGoesThroughEachStepOnce() {
        var driver = Driver()
        driver.go()
        #expect(driver.steps == Self.forward)
        #expect(driver.running?.1 == .mirror)
        driver.receive(.request(.finish))
        driver.go()
        #expect(driver.steps == Self.forward + [.cleaning(.completed), .over(.completed)])
        #expect(driver.answers == ["accepted finish"] && driver.end == .some(.completed))
        #expect(driver.machine.ignoredEvents == 0)
        let states: [JobState] =
            [.pending, .pending, .pending, .precopy, .deltasync, .deltasync, .deltasync] + [JobState](repeating: .cutover, count: 5) + [.completed]
        #expect(Self.forward.map(\.state) == states)
    }

    @Test func nothingIsDoneBeforeItsStepIsPersisted() {
        for step in Self.forward {
            var driver = Driver()
            driver.go(to: step)
            guard driver.running != nil else { continue }
            #expect(driver.stored?.step == (step.isWritten ? step : .fencing) && driver.stored?.version == driver.running?.0.version)
        }
        var driver = Driver()
        #expect(driver.running == nil && driver.pending?.version == 1)
        driver.receive(.persistUnknown(version: 1))
        #expect(driver.pending?.version == 1, "the same write once more")
        driver.receive(.persisted(version: 2))
        #expect(driver.running == nil, "another record's")
    }

    /// Steps that are not written have runs of their own: what one reports is not taken for another's, and whoever comes next takes the hold back.
    @Test func stepsBetweenFenceAndSwitchAreEnteredUnderOneRecord() {
        var driver = Driver()
        driver.go(to: .fencing)
        let record = driver.stored
        for step in [JobStep.measuring, .catchingUp, .switching] {
            let before = driver.running?.0
            driver.go(to: step)
            #expect(!step.isWritten && driver.stored == record)
            if let before { #expect(driver.machine.receive(.outcome(before, .done)) == [], "of a run that is over") }
            var next = driver
            next.crash()
            next.persist()
            #expect(next.running?.1 == .lift)
        }
    }

    /// What is made is in the ledger of a record that is stored before.
    @Test func theLedgerIsWrittenBeforeTheThings() {
        var driver = Driver()
        driver.go(to: .checking)
        #expect(driver.stored?.ledger == [])
        driver.go(to: .preparing)
        #expect(driver.stored?.ledger == Kit.planned)
        driver.go(to: .arming)
        #expect(driver.stored?.ledger == Kit.planned + Kit.wayBack)
    }

    @Test(arguments: beforeCutover) func cancelBeforeTheCutoverLeavesNothing(_ step: JobStep) {
        var driver = Driver()
        driver.go(to: step)
        let made = driver.stored?.ledger ?? []
        driver.receive(.request(.cancel))
        #expect(driver.answers == [], "not before it is persisted")
        driver.persist()
        #expect(driver.answers == ["accepted cancel"])
        guard case .clean(let entries)? = driver.running?.1 else {
            Issue.record("\(String(describing: driver.running))")
            return
        }
        #expect(Set(entries) == Set(made))
        driver.go()
        #expect(driver.end == .some(.cancelled))
    }

    @Test(arguments: cutover) func cancelInTheCutoverTakesTheHoldBackFirst(_ step: JobStep) {
        var driver = Driver()
        driver.go(to: step)
        driver.receive(.request(.cancel))
        driver.persist()
        #expect(driver.running?.1 == .lift && driver.answers == ["accepted cancel"])
        var late = driver
        driver.go()
        #expect(driver.end == .some(.cancelled))
        // The catalog had the switch first.
        late.report(.switched)
        late.go()
        #expect(late.machine.record.step == .guarding && late.machine.record.reason != nil && !late.machine.record.isCancelling)
    }

    @Test(arguments: cutover) func anAttemptThatIsGivenUpIsMadeAgainAfterALongerPause(_ step: JobStep) {
        var driver = Driver()
        var pauses: [Duration] = []
        for _ in 0..<9 {
            driver.go(to: step)
            driver.report(.busy("over the budget"))
            driver.persist()
            #expect(driver.running?.1 == .lift && driver.machine.record.reason == "over the budget")
            driver.report(.done)
            driver.persist()
            guard case .catchUp(let pause)? = driver.running?.1 else {
                Issue.record("\(String(describing: driver.running))")
                return
            }
            pauses.append(pause)
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { .seconds($0) })
        driver.go()
        #expect(driver.machine.record.step == .guarding)
        #expect(driver.steps.filter { $0 == .verifying }.count == 1, "verified once")
    }

    @Test func theEndOfOneOfSeveralSourcesIsNone() {
        let other = ShardID("c")
        var driver = Driver(Kit.job("j", [Kit.move(1, 0...9), Kit.move(2, 10...19, from: other)]))
        driver.go(to: .measuring)
        driver.report(.ended([Kit.a: LSN(1)]))
        driver.persist()
        #expect(driver.running?.1 == .lift)
        driver.go(to: .measuring)
        driver.report(.ended([Kit.a: LSN(1), other: LSN(2)]))
        driver.persist()
        #expect(driver.running?.1 == .reach([Kit.a: LSN(1), other: LSN(2)]))
    }

    @Test(arguments: beforeCutover) func whatWillNotWorkFailsTheJobAndCleansUp(_ step: JobStep) {
        var driver = Driver()
        driver.go(to: step)
        var patient = driver
        driver.report(.impossible("no"))
        driver.go()
        #expect(driver.end == .some(.failed) && driver.machine.record.reason == "no")
        for _ in 0..<ReshardMachine.retriesMax {
            patient.report(.unavailable("away"))
            patient.persist()
            #expect(patient.machine.record.step == step)
        }
        var lucky = patient
        lucky.go()
        #expect(lucky.machine.record.step == .guarding)
        patient.report(.unavailable("away"))
        patient.go()
        #expect(patient.end == .some(.failed) && patient.machine.record.reason == "away")
    }

    @Test func reverseTakesTheTrafficBackAndLeavesNothing() {
        var driver = Driver()
        driver.go()
        driver.receive(.request(.reverse))
        driver.persist()
        #expect(driver.running?.1 == .hold && driver.machine.record.direction == .back && driver.machine.record.oldOwners == [Kit.b])
        driver.go(to: .measuring)
        driver.report(.ended([Kit.a: LSN(1)]))
        driver.persist()
        #expect(driver.running?.1 == .lift, "the old owner is another one now")
        driver.report(.done)
        driver.persist()
        #expect(driver.machine.record.step == .guarding && driver.machine.record.direction == .forward)
        driver.receive(.request(.reverse))
        driver.persist()
        driver.go(to: .measuring)
        driver.report(.ended([Kit.b: LSN(1)]))
        driver.go()
        #expect(driver.end == .some(.cancelled))
        #expect(driver.answers == ["accepted reverse", "accepted reverse"])
        #expect(Set(driver.machine.record.remains(after: .cancelled)) == Set(Kit.planned + Kit.wayBack))
    }

    @Test func finishTakesTheMovedRowsFromTheSourceAndLeavesTheTargetItsOwn() {
        var record = Kit.job()
        record.ledger = Kit.planned + Kit.wayBack
        #expect(
            record.remains(after: .completed) == [
                Kit.slot, .slot(Kit.b, name: "s"), .publication(Kit.a, name: "p"), .publication(Kit.b, name: "p"), .rows(Kit.a),
            ])
        for end in [JobEnd.failed, .cancelled] { #expect(Set(record.remains(after: end)) == Set(record.ledger)) }
    }

    @Test func aWayBackThatIsLostCanOnlyBeFinished() {
        var driver = Driver()
        driver.go()
        driver.report(.unavailable("target away"))
        driver.persist()
        #expect(driver.running?.1 == .mirror)
        driver.report(.impossible("slot lost"))
        driver.persist()
        #expect(driver.running == nil && driver.machine.record.reason == "slot lost")
        driver.receive(.request(.reverse))
        driver.receive(.request(.cancel))
        #expect(driver.answers == ["rejected reverse", "rejected cancel"])
        driver.crash()
        driver.persist()
        #expect(driver.running == nil)
        driver.receive(.request(.finish))
        driver.go()
        #expect(driver.end == .some(.completed))
    }

    @Test(arguments: [JobStep.abandoning, .cleaning(.cancelled)]) func thereIsNoOtherWayOutThanThatItWorks(_ step: JobStep) {
        var driver = Driver()
        driver.go(to: .holding)
        driver.receive(.request(.cancel))
        driver.go(to: step)
        for _ in 0..<100 {
            driver.report(.impossible("no"))
            driver.persist()
            #expect(driver.machine.record.step == step && driver.running != nil)
        }
        driver.go()
        #expect(driver.end == .some(.cancelled))
    }

    @Test func aManagerThatIsSupersededDoesNothingMore() {
        for step in Self.forward {
            var driver = Driver()
            driver.go(to: step)
            driver.receive(.superseded)
            #expect(driver.end == .some(nil) && driver.machine.isStopped)
            let actions = driver.machine.receive(.request(.cancel))
            #expect(actions == [])
        }
    }

    @Test func theRecordIsReadBackAsItWasWritten() throws {
        var driver = Driver()
        for step in Self.forward + [.abandoning] {
            if step == .abandoning { driver.receive(.request(.reverse)) } else { driver.go(to: step) }
            driver.persist()
            let record = try #require(driver.stored)
            #expect(try JSONDecoder().decode(JobRecord.self, from: JSONEncoder().encode(record)) == record)
        }
    }

    // MARK: Admission

    @Test func jobsOfDisjointVNodesRunBesideEachOtherAndOthersAreRefused() {
        let other = Kit.job("other", [Kit.move(1, 0...99)])
        func refusal(_ moves: [VNodeMove], id: String = "j") -> JobRefusal? { JobAdmission.refusal(of: Kit.job(id, moves), beside: [other]) }
        #expect(refusal([Kit.move(2, 100...199)]) == nil)
        #expect(refusal([Kit.move(2, 100...199), Kit.move(1, 0...99)]) == .overlaps(JobID("other"), vnode: 1))
        #expect(refusal([Kit.move(9, 99...100)]) == .overlaps(JobID("other"), vnode: 9), "cut under another id")
        #expect(refusal([Kit.move(2, 100...199)], id: "other") == .duplicateID(JobID("other")))
        #expect(refusal([]) == .nothingToMove)
        #expect(refusal([Kit.move(2, 100...199), Kit.move(2, 200...299)]) == .duplicate(vnode: 2))
        #expect(refusal([Kit.move(2, 100...199, to: Kit.a)]) == .noMove(vnode: 2))
        #expect(refusal((0..<65_537).map { Kit.move($0 + 10, 1000 + UInt64($0)...1000 + UInt64($0)) }) == .tooMany(65_537))
        var done = other
        done.step = .over(.completed)
        #expect(JobAdmission.refusal(of: Kit.job("j"), beside: [done]) == nil)
        done = other
        done.database = "else"
        #expect(JobAdmission.refusal(of: Kit.job("j"), beside: [done]) == nil)
    }
}
