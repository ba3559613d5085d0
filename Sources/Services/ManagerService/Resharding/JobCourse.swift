internal import CatalogStore
internal import Logging
internal import ReshardCore
internal import ShardModel
internal import Telemetry

/// What a runner has in hand: the machine, and what it has asked for. Belongs to the runner's task.
struct JobCourse {
    private let runner: JobRunner
    private var machine: ReshardMachine
    private var job: StoredJob
    /// Of the last write.
    private var catalog: CatalogSnapshot
    private var attempt: CutoverAttempt?
    private var running: Task<Void, Never>?
    /// Whose request the machine has.
    private var question: UInt64?
    private(set) var isStopped = false
    /// nil: it is not over, as far as this runner knows.
    private(set) var result: JobEnd?

    init(_ runner: JobRunner, _ job: StoredJob, planned: [LedgerEntry], wayBack: [LedgerEntry], in catalog: CatalogSnapshot) {
        self.runner = runner
        self.job = job
        self.catalog = catalog
        machine = ReshardMachine(job.record, planned: planned, wayBack: wayBack)
    }

    mutating func begin() async { await carryOut(machine.start()) }

    mutating func take(_ input: JobRunner.Input) async {
        switch input {
        case .finished(let id, let result):
            if id.version == job.record.version { note(result) }
            await carryOut(machine.receive(.outcome(id, result.outcome)))
        case .request(let request, let question):
            var actions = machine.receive(.request(request))
            if let rejection = actions.firstIndex(of: .reject(request)) {
                actions.remove(at: rejection)
                runner.answer(question, .rejected)
            } else {
                self.question = question
            }
            await carryOut(actions)
        }
    }

    /// Nothing runs afterwards.
    mutating func end() async {
        running?.cancel()
        await running?.value
        running = nil
    }

    private mutating func carryOut(_ actions: [JobAction]) async {
        var waiting = actions[...]
        while let action = waiting.popFirst() {
            switch action {
            case .persist(let next): waiting += machine.receive(await write(next))
            case .enter(let record): enter(record)
            case .run(let id, let effect): begin(id, effect)
            case .interrupt: await end()
            case .accept: answer(.accepted)
            case .reject: answer(.rejected)
            case .stop(let end):
                (isStopped, result) = (true, end)
            }
        }
    }

    private mutating func answer(_ answer: JobAnswer) {
        if let question { runner.answer(question, answer) }
        question = nil
    }
}

// MARK: writing

extension JobCourse {
    /// Until it is known whether the record is the catalog's: while the store is away there is nothing else to do.
    private mutating func write(_ next: JobRecord) async -> JobEvent {
        if let progress = await runner.effects.work.progress(of: next.id), progress.bytesRead > 0 {
            job.facts.copied = StoredJob.Copied(
                rows: progress.rowsCopied, rowsEstimated: progress.rowsEstimated, bytes: progress.bytesRead, bytesAll: progress.bytesAll)
        }
        let candidate = stored(next)
        var failures = 0
        while !Task.isCancelled {
            let outcome = await runner.effects.catalogEffects.commits.commit { catalog in
                guard let there = catalog.jobs[next.id.text] else { return .refused("it is gone") }
                if there.version == next.version, StoredJob(there)?.record == next { return .stands }
                guard there.version + 1 == next.version else { return .refused("it is at version \(there.version)") }
                return .change([.putJob(candidate.stored)])
            }
            switch outcome {
            case .stands(let catalog):
                await written(candidate, catalog)
                return .persisted(version: next.version)
            case .refused(let reason, _):
                runner.logger.notice("The job is another manager's", metadata: ["reason": "\(reason)"])
                return .superseded
            case .fenced: return .superseded
            case .unavailable(let reason), .unknown(let reason):
                failures += 1
                if failures == 1 { runner.logger.warning("A job's step cannot be written; it is tried again", metadata: ["reason": "\(reason)"]) }
                try? await Task.sleep(for: Self.pause(after: failures))
                if case .unknown = outcome { return .persistUnknown(version: next.version) }
            }
        }
        return .superseded
    }

    /// The record with what is told of it.
    private func stored(_ next: JobRecord) -> StoredJob {
        var candidate = job
        candidate.record = next
        candidate.updatedAt = runner.effects.catalogEffects.now()
        if job.record.step == .copying, next.step == .streaming { candidate.facts.copySeconds = candidate.updatedAt - job.updatedAt }
        if next.step == .fencing { candidate.facts.fence = attempt?.epoch }
        if job.record.step == .abandoning, next.step != .abandoning { candidate.facts.fence = nil }
        return candidate
    }

    private mutating func enter(_ record: JobRecord) {
        let before = job.record
        job.record = record
        tell(from: before)
        runner.show(job)
    }

    private mutating func written(_ candidate: StoredJob, _ catalog: CatalogSnapshot) async {
        let before = job.record
        job = candidate
        self.catalog = catalog
        tell(from: before)
        runner.show(candidate)
        if !candidate.record.step.isCutover, candidate.record.step != .abandoning { attempt = nil }
        await runner.effects.work.follow(candidate.record, in: catalog)
    }

    private func tell(from before: JobRecord) {
        let record = job.record
        let isAgain = before.step == record.step && before.version > 0
        var metadata: Logger.Metadata = ["step": "\(record.step.name)", "state": "\(record.step.state.rawValue)", "version": "\(record.version)"]
        if let reason = record.reason { metadata["reason"] = "\(reason)" }
        if record.retries > 0 { metadata["retries"] = "\(record.retries)" }
        switch record.step {
        case .abandoning where before.step.isCutover:
            runner.metrics.count(MetricCatalogue.reshardAbandoned)
            runner.logger.warning("A job gives its attempt at the cutover up", metadata: metadata)
        case .over: runner.logger.notice("A job is over", metadata: metadata)
        case .guarding where !isAgain:
            if let pause = job.facts.pauseMilliseconds { metadata["pause_ms"] = "\(pause)" }
            runner.logger.notice("A job has switched the owners", metadata: metadata)
        case .cleaning(.failed) where !isAgain: runner.logger.error("A job has failed", metadata: metadata)
        default:
            guard isAgain else { return runner.logger.info("A job is at its next step", metadata: metadata) }
            if record.retries > before.retries { return runner.logger.warning("A job begins a step again", metadata: metadata) }
            runner.logger.info("A manager carries a job out from this step on", metadata: metadata)
        }
    }
}

// MARK: running

extension JobCourse {
    /// 100 ms, 200 ms, … up to some seconds.
    static func pause(after failures: Int) -> Duration { min(JobRunner.pauseMax, .milliseconds(100) * (1 << min(failures - 1, 10))) }

    private mutating func begin(_ id: EffectID, _ effect: JobEffect) {
        let order = JobEffects.Order(effect: effect, id: id, job: job, catalog: catalog, attempt: attempt)
        let pause = job.record.retries > 0 ? Self.pause(after: job.record.retries) : .zero
        running = Task { [runner, before = running] in
            await before?.value
            if pause > .zero { await runner.impatience.wait(after: runner.impatience.rings, until: .now + pause) }
            if Task.isCancelled { return }
            #if DEBUG
                await JobPoint.pass(order.job.record.step.name, .before)
                if Task.isCancelled { return }
            #endif
            let result = await runner.effects.run(order)
            #if DEBUG
                await JobPoint.pass(order.job.record.step.name, .after)
            #endif
            if !Task.isCancelled { runner.feed.yield(.finished(id, result)) }
        }
    }

    private mutating func note(_ result: JobEffects.Result) {
        attempt = result.attempt ?? attempt
        guard result.switched.isSwitched else { return }
        if job.record.direction == .forward { job.facts.switchedAt = job.facts.switchedAt ?? runner.effects.catalogEffects.now() }
        job.facts.pauseMilliseconds = result.switched.pause.map { ($0 / .microseconds(1)).rounded() / 1000 }
    }
}

extension JobStep {
    /// What it is called in the log and the API.
    var name: String {
        switch self {
        case .checking: "checking"
        case .preparing: "preparing"
        case .shielding: "shielding"
        case .copying: "copying"
        case .streaming: "streaming"
        case .verifying: "verifying"
        case .arming: "arming"
        case .holding: "holding"
        case .fencing: "fencing"
        case .measuring: "measuring"
        case .catchingUp: "catching_up"
        case .switching: "switching"
        case .abandoning: "abandoning"
        case .guarding: "guarding"
        case .cleaning: "cleaning"
        case .over: "over"
        }
    }

    static let names = [
        "checking", "preparing", "shielding", "copying", "streaming", "verifying", "arming", "holding", "fencing", "measuring", "catching_up", "switching",
        "abandoning", "guarding", "cleaning", "over",
    ]
}
