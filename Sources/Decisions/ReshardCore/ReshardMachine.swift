/// A job of moving vnodes: what comes next, after each event. Pure: time is in the outcomes, and everything that counts is in the record.
///
/// Two rules make it safe to crash anywhere: a step is persisted before its effect is run, unless another manager would do the same without it
/// (`JobStep.isWritten`), and an effect can be run again.
package struct ReshardMachine: Hashable, Sendable {
    private enum Activity: Hashable, Sendable {
        case new
        case persisting(JobRecord)
        case running
        case stopped
    }

    /// As the catalog has it, to this manager's knowledge; in a cutover, with the step that was entered since.
    package private(set) var record: JobRecord
    private var activity = Activity.new
    /// Steps that were entered since the record was persisted.
    private var stage = 0
    private let planned: [LedgerEntry]
    private let wayBack: [LedgerEntry]
    /// Came while a record was being written.
    private var waiting: JobRequest?
    /// Is in the record that is being written.
    private var answering: JobRequest?
    /// Events that made no sense where they came.
    package private(set) var ignoredEvents = 0

    /// How often a step before the cutover is begun again before the job fails.
    package static let retriesMax = 20

    /// A job that is new (version 0), or one that this manager goes on with.
    ///
    /// - planned: what `preparing` and `copying` will make.
    /// - wayBack: what `arming` will. Names are derived from the job's id, so that every manager says the same.
    package init(_ record: JobRecord, planned: [LedgerEntry], wayBack: [LedgerEntry]) {
        self.record = record
        self.planned = planned
        self.wayBack = wayBack
    }

    package var isStopped: Bool { activity == .stopped }

    /// Once, before the first event.
    package mutating func start() -> [JobAction] {
        guard activity == .new else { return ignore() }
        if record.version == 0 { return go(.checking) }
        if case .over(let end) = record.step { return stop(end) }
        // Every resumption is written first: it takes the record from a manager that does not know yet that it leads no more.
        guard record.step.isCutover else { return go(record.step) }
        return go(.abandoning) { $0.reason = "the manager was replaced in the middle of a cutover" }
    }

    package mutating func receive(_ event: JobEvent) -> [JobAction] {
        switch (event, activity) {
        case (_, .stopped), (_, .new): return ignore()
        case (.superseded, _): return stop(nil)
        case (.persisted(let version), .persisting(let next)) where version == next.version: return persisted(next)
        case (.persistUnknown(let version), .persisting(let next)) where version == next.version: return [.persist(next)]
        case (.outcome(let id, let outcome), .running) where id == effectID && hasEffect: return finished(outcome)
        case (.request(let request), _): return receive(request)
        default: return ignore()
        }
    }

    private var effectID: EffectID { EffectID(record.version, stage: stage) }

    private mutating func ignore() -> [JobAction] {
        ignoredEvents += 1
        return []
    }

    private mutating func stop(_ end: JobEnd?) -> [JobAction] {
        activity = .stopped
        return [.stop(end)]
    }

    private mutating func go(_ step: JobStep, _ edit: (inout JobRecord) -> Void = { _ in }) -> [JobAction] {
        if !step.isWritten { return enter(step, edit) }
        var next = record
        next.retries = step == record.step ? record.retries : 0
        next.step = step
        // In the ledger before anything of it is made.
        if step == .preparing { next.ledger = planned }
        if step == .arming { next.ledger = planned + wayBack }
        next.ends = [:]
        edit(&next)
        next.version += 1
        activity = .persisting(next)
        return [.persist(next)]
    }

    private mutating func enter(_ step: JobStep, _ edit: (inout JobRecord) -> Void) -> [JobAction] {
        record.step = step
        record.retries = 0
        record.ends = [:]
        edit(&record)
        stage += 1
        return [.enter(record), .run(effectID, effect)]
    }

    private mutating func persisted(_ next: JobRecord) -> [JobAction] {
        record = next
        stage = 0
        activity = .running
        var actions: [JobAction] = []
        if let answering { actions.append(.accept(answering)) }
        answering = nil
        let waiting = waiting
        self.waiting = nil
        if case .over(let end) = record.step {
            return actions + (waiting.map { [.reject($0)] } ?? []) + stop(end)
        }
        if let waiting {
            if let change = carryOut(waiting) { return actions + change }
            actions.append(.reject(waiting))
        }
        return hasEffect ? actions + [.run(effectID, effect)] : actions
    }
}

// MARK: Effects and their outcomes

extension ReshardMachine {
    /// Once the way back is lost, there is nothing to do but to wait for the operator.
    private var hasEffect: Bool { record.step != .guarding || record.hasWayBack }

    private var effect: JobEffect {
        switch record.step {
        case .checking: .check
        case .preparing: .prepare
        case .shielding: .shield
        case .copying: .copy
        case .streaming: .catchUp(pause: pause)
        case .verifying: .verify
        case .arming: .arm
        case .holding: .hold
        case .fencing: .fence
        case .measuring: .measure
        case .catchingUp: .reach(record.ends)
        case .switching: .switchOwners
        case .abandoning: .lift
        case .guarding: .mirror
        case .cleaning(let end): .clean(record.remains(after: end))
        case .over: preconditionFailure("a job that is over does nothing")
        }
    }

    /// Longer with each attempt that was given up: 1 s, 2 s, … 1 min.
    private var pause: Duration {
        record.abandoned == 0 ? .zero : .seconds(min(60, 1 << min(record.abandoned - 1, 6)))
    }

    private mutating func finished(_ outcome: JobOutcome) -> [JobAction] {
        switch outcome {
        case .done: return done()
        case .ended(let ends):
            // The end of one of several is none.
            guard record.step == .measuring, Set(ends.keys) == Set(record.oldOwners) else { return failed("the end of the log is not known") }
            return go(.catchingUp) { $0.ends = ends }
        case .switched: return record.step == .abandoning ? switched() : failed("unexpected: the owners are switched")
        case .busy(let reason), .unavailable(let reason): return failed(reason)
        case .impossible(let reason): return failed(reason, isFinal: true)
        }
    }

    private mutating func done() -> [JobAction] {
        switch record.step {
        case .checking: go(.preparing)
        case .preparing: go(.shielding)
        case .shielding: go(.copying)
        case .copying: go(.streaming)
        case .streaming: go(record.isVerified ? .arming : .verifying)
        case .verifying: go(.arming) { $0.isVerified = true }
        case .arming: go(.holding)
        case .holding: go(.fencing)
        case .fencing: go(.measuring)
        case .measuring: failed("the end of the log is not known")
        case .catchingUp: go(.switching)
        case .switching: switched()
        case .abandoning: lifted()
        case .guarding: failed("the stream of the way back has ended")
        case .cleaning(let end): go(.over(end))
        case .over: ignore()
        }
    }

    /// The point of no return is behind.
    private mutating func switched() -> [JobAction] {
        if record.direction == .back { return go(.cleaning(.cancelled)) { $0.hasWayBack = false } }
        return go(.guarding) { record in
            record.reason = record.isCancelling ? "the request to cancel came behind the switch: reverse takes the job back" : nil
            record.isCancelling = false
            record.hasWayBack = true
        }
    }

    private mutating func lifted() -> [JobAction] {
        if record.direction == .back {
            return go(.guarding) { record in
                record.direction = .forward
                record.abandoned += 1
            }
        }
        return record.isCancelling ? go(.cleaning(.cancelled)) : go(.streaming) { $0.abandoned += 1 }
    }

    private mutating func failed(_ reason: String, isFinal: Bool = false) -> [JobAction] {
        switch record.step {
        case .holding, .fencing, .measuring, .catchingUp, .switching: return go(.abandoning) { $0.reason = reason }
        // There is no other way out of these: again, until it works.
        case .abandoning, .cleaning: return again(reason)
        // The new owners have the vnodes: only the way back is lost.
        case .guarding where isFinal:
            return go(.guarding) { record in
                record.hasWayBack = false
                record.reason = reason
            }
        case .guarding: return again(reason)
        default:
            if isFinal || record.retries >= Self.retriesMax { return go(.cleaning(.failed)) { $0.reason = reason } }
            return again(reason)
        }
    }

    private mutating func again(_ reason: String) -> [JobAction] {
        go(record.step) { record in
            record.retries += 1
            // Why the job failed stays, whatever comes up in cleaning.
            if record.step.state != .failed { record.reason = reason }
        }
    }
}

// MARK: Requests

extension ReshardMachine {
    private mutating func receive(_ request: JobRequest) -> [JobAction] {
        guard waiting == nil, answering == nil else { return [.reject(request)] }
        guard activity == .running else {
            waiting = request
            return []
        }
        let run = effectID
        guard let change = carryOut(request) else { return [.reject(request)] }
        return [.interrupt(run)] + change
    }

    /// nil: not now.
    private mutating func carryOut(_ request: JobRequest) -> [JobAction]? {
        switch (request, record.step) {
        case (.cancel, .checking), (.cancel, .preparing), (.cancel, .shielding), (.cancel, .copying), (.cancel, .streaming), (.cancel, .verifying),
            (.cancel, .arming):
            answering = request
            return go(.cleaning(.cancelled))
        case (.cancel, .holding), (.cancel, .fencing), (.cancel, .measuring), (.cancel, .catchingUp), (.cancel, .switching), (.cancel, .abandoning):
            guard record.direction == .forward, !record.isCancelling else { return nil }
            answering = request
            // The catalog decides which came first: the switch that may be under way, or this.
            return go(.abandoning) { $0.isCancelling = true }
        case (.reverse, .guarding) where record.hasWayBack:
            answering = request
            return go(.holding) { record in
                record.direction = .back
                record.abandoned = 0
            }
        case (.finish, .guarding):
            answering = request
            return go(.cleaning(.completed)) { $0.hasWayBack = false }
        default: return nil
        }
    }
}
