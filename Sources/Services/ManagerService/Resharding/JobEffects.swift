internal import ReshardCore
internal import ServerConfig
internal import ShardModel

/// Runs the effects of one job, in the catalog and on servers.
struct JobEffects: Sendable {
    let work: any ServerWork
    let catalogEffects: CatalogEffects
    let settings: ReshardSettings

    /// What an effect is run by.
    struct Order: Sendable {
        var effect: JobEffect
        var id: EffectID
        var job: StoredJob
        var catalog: CatalogSnapshot
        /// Of the cutover, from the hold on.
        var attempt: CutoverAttempt?
    }

    struct Result: Sendable {
        var outcome: JobOutcome
        var attempt: CutoverAttempt?
        /// The owners are the new ones, after this pause, if it is known.
        var switched: (isSwitched: Bool, pause: Duration?) = (false, nil)
    }

    func run(_ order: Order) async -> Result {
        let (record, id, catalog) = (order.job.record, order.id, order.catalog)
        switch order.effect {
        case .shield:
            // Else they could open no connection any more.
            if let reason = await catalogEffects.awaitRouters(at: catalog.epoch) { return Result(outcome: .unavailable(reason)) }
            return Result(outcome: await work.run(order.effect, id, of: record, in: catalog))
        case .copy:
            switch await catalogEffects.awaitSessions(at: catalog.epoch) {
            case .failure(let failure): return Result(outcome: failure.outcome)
            case .success(let spared):
                let outcome = await work.endStrangers(record, sparing: spared, in: catalog)
                guard outcome == .done else { return Result(outcome: outcome) }
                return Result(outcome: await work.run(order.effect, id, of: record, in: catalog))
            }
        case .check, .prepare, .catchUp, .verify, .arm, .mirror, .clean:
            return Result(outcome: await work.run(order.effect, id, of: record, in: catalog), attempt: nil)
        case .hold: return await hold(order)
        case .fence:
            return await inAttempt(order) { attempt in
                guard let spared = await catalogEffects.spared(attempt, record.id) else { return .busy("the routers' acknowledgements cannot be read") }
                return await work.fence(record, at: attempt.epoch, sparing: spared, in: catalog)
            }
        case .measure, .reach: return await inAttempt(order) { _ in await work.run(order.effect, id, of: record, in: catalog) }
        case .switchOwners: return await switchOwners(order)
        case .lift: return await lift(order)
        }
    }

    private func hold(_ order: Order) async -> Result {
        switch await catalogEffects.hold(order.job.record, order.id) {
        case .failure(let failure): return Result(outcome: failure.outcome)
        case .success(let attempt):
            switch await catalogEffects.awaitAcknowledgements(of: attempt, order.job.record) {
            case .done: return Result(outcome: isOver(attempt) ? overBudget : .done, attempt: attempt)
            case .silent(let routers): return Result(outcome: undrained(routers, catalogEffects.drainLimit(order.job.record)), attempt: attempt)
            case .overfull(let router): return Result(outcome: Self.overfull(router), attempt: attempt)
            }
        }
    }

    private func switchOwners(_ order: Order) async -> Result {
        guard let attempt = order.attempt else { return Self.noAttempt }
        let outcome = await catalogEffects.switchOwners(order.job.record, order.id, attempt)
        return Result(outcome: outcome, attempt: attempt, switched: outcome == .done ? (true, .now - attempt.began) : (false, nil))
    }

    /// The hold first, so that statements go on; then the fence, if one may have been raised.
    private func lift(_ order: Order) async -> Result {
        switch await catalogEffects.lift(order.job.record, order.id) {
        case .failure(let failure) where failure.outcome == .switched:
            return Result(outcome: .switched, switched: (true, order.attempt.map { .now - $0.began }))
        case .failure(let failure): return Result(outcome: failure.outcome)
        case .success:
            guard let fence = order.job.facts.fence else { return Result(outcome: .done) }
            return Result(outcome: await work.unfence(order.job.record, at: fence, in: order.catalog))
        }
    }

    // MARK: the budget

    private static let noAttempt = Result(outcome: .busy("this manager did not begin the cutover"))
    /// Their clients would see errors: the attempt is given up instead, for what they have under way ends, or the router does.
    private func undrained(_ routers: [String], _ limit: Duration) -> JobOutcome {
        let more = routers.count > 10 ? " and \(routers.count - 10) more" : ""
        return .busy(
            "routers still had something under way on the moved vnodes after \(limit), or have ended without a word: \(routers.prefix(10).joined(separator: ", "))\(more)")
    }

    private static func overfull(_ router: String) -> JobOutcome {
        .busy("too many statements wait at router \(router): see its wire.held_statements_max and wire.held_bytes_max")
    }

    private var overBudget: JobOutcome { .busy(CatalogEffects.overBudget(settings)) }
    private func isOver(_ attempt: CutoverAttempt) -> Bool { attempt.began + settings.pauseBudget <= .now }

    /// Ended with the pause's budget, and when a router can keep no more waiting.
    private func inAttempt(_ order: Order, _ body: @escaping @Sendable (CutoverAttempt) async -> JobOutcome) async -> Result {
        guard let attempt = order.attempt else { return Self.noAttempt }
        let running = Task { await body(attempt) }
        let limit = Task {
            try await Task.sleep(until: attempt.began + settings.pauseBudget, clock: .continuous)
            running.cancel()
        }
        let overflow = Task {
            let router = await catalogEffects.awaitOverflow(of: attempt, order.job.record.id)
            if router != nil { running.cancel() }
            return router
        }
        defer { limit.cancel() }
        let outcome = await withTaskCancellationHandler {
            await running.value
        } onCancel: {
            running.cancel()
        }
        overflow.cancel()
        if let router = await overflow.value { return Result(outcome: Self.overfull(router), attempt: attempt) }
        return Result(outcome: isOver(attempt) ? overBudget : outcome, attempt: attempt)
    }
}
