import ManagerService
import LogicalReplication
import ReshardCore
import ShardModel
import Synchronization

/// The work of a job without servers: what a test says becomes of it, and what was asked of it.
final class ScriptedWork: ServerWork {
    enum Call: String, Hashable, Sendable, CaseIterable {
        case check, prepare, shield, endStrangers, copy, catchUp, verify, arm, fence, measure, reach, mirror, clean, unfence
    }

    enum Answer: Sendable {
        case outcome(JobOutcome)
        /// Until it is cancelled.
        case hangs
        case does(@Sendable (JobRecord, CatalogSnapshot) async -> JobOutcome)
    }

    struct Fencing: Hashable {
        var epoch: Epoch
        var spared: [ShardID: Set<Int32>]
    }

    private struct State {
        /// Taken one by one; behind the last, it goes well.
        var script: [Call: [Answer]] = [:]
        var calls: [Call] = []
        var followed: [JobStep] = []
        var fencings: [Fencing] = []
        var shields: [Epoch] = []
        var strangersEnded: [[ShardID: Set<Int32>]] = []
        var unfenced: [Epoch] = []
        var cleaned: [[LedgerEntry]] = []
        var running = 0
        var runningMost = 0
        var stops = 0
        var progress: JobProgress?
    }
    private let state = Mutex(State())

    init(_ script: [Call: [Answer]] = [:]) { state.withLock { $0.script = script } }

    func add(_ answers: [Answer], to call: Call) { state.withLock { $0.script[call, default: []] += answers } }
    var calls: [Call] { state.withLock(\.calls) }
    var followed: [JobStep] { state.withLock(\.followed) }
    var fencings: [Fencing] { state.withLock(\.fencings) }
    var shields: [Epoch] { state.withLock(\.shields) }
    /// Who was spared each time.
    var strangersEnded: [[ShardID: Set<Int32>]] { state.withLock(\.strangersEnded) }
    var unfenced: [Epoch] { state.withLock(\.unfenced) }
    var cleaned: [[LedgerEntry]] { state.withLock(\.cleaned) }
    var stops: Int { state.withLock(\.stops) }
    /// Two effects of one job never run at once in one process.
    var runningMost: Int { state.withLock(\.runningMost) }
    var running: Int { state.withLock(\.running) }
    var progress: JobProgress? {
        get { state.withLock(\.progress) }
        set { state.withLock { $0.progress = newValue } }
    }

    func follow(_ record: JobRecord, in catalog: CatalogSnapshot) async { state.withLock { $0.followed.append(record.step) } }
    func progress(of job: JobID) async -> JobProgress? { progress }
    func stopAll() async { state.withLock { $0.stops += 1 } }

    func run(_ effect: JobEffect, _ id: EffectID, of record: JobRecord, in catalog: CatalogSnapshot) async -> JobOutcome {
        switch effect {
        case .check: await answer(.check, record, catalog)
        case .prepare: await answer(.prepare, record, catalog)
        case .shield: await answer(.shield, record, catalog) { $0.shields.append(catalog.epoch) }
        case .copy: await answer(.copy, record, catalog)
        case .catchUp: await answer(.catchUp, record, catalog)
        case .verify: await answer(.verify, record, catalog)
        case .arm: await answer(.arm, record, catalog)
        case .measure: await answer(.measure, record, catalog, otherwise: .outcome(.ended(Dictionary(uniqueKeysWithValues: record.oldOwners.map { ($0, LSN(7)) }))))
        case .reach: await answer(.reach, record, catalog)
        case .mirror: await answer(.mirror, record, catalog, otherwise: .hangs)
        case .clean(let entries):
            await answer(.clean, record, catalog) { $0.cleaned.append(entries) }
        case .hold, .fence, .switchOwners, .lift: .impossible("not an effect on servers")
        }
    }

    func endStrangers(_ record: JobRecord, sparing spared: [ShardID: Set<Int32>], in catalog: CatalogSnapshot) async -> JobOutcome {
        await answer(.endStrangers, record, catalog) { $0.strangersEnded.append(spared) }
    }

    func fence(_ record: JobRecord, at epoch: Epoch, sparing spared: [ShardID: Set<Int32>], in catalog: CatalogSnapshot) async -> JobOutcome {
        await answer(.fence, record, catalog) { $0.fencings.append(Fencing(epoch: epoch, spared: spared)) }
    }

    func unfence(_ record: JobRecord, at epoch: Epoch, in catalog: CatalogSnapshot) async -> JobOutcome {
        await answer(.unfence, record, catalog) { $0.unfenced.append(epoch) }
    }

    private func answer(
        _ call: Call, _ record: JobRecord, _ catalog: CatalogSnapshot, otherwise: Answer = .outcome(.done), _ note: (inout State) -> Void = { _ in }
    ) async -> JobOutcome {
        let answer = state.withLock { state in
            note(&state)
            state.calls.append(call)
            state.running += 1
            state.runningMost = max(state.runningMost, state.running)
            guard let next = state.script[call]?.first else { return otherwise }
            state.script[call]?.removeFirst()
            return next
        }
        defer { state.withLock { $0.running -= 1 } }
        switch answer {
        case .outcome(let outcome): return outcome
        case .does(let body): return await body(record, catalog)
        case .hangs:
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(60)) }
            return .unavailable("cancelled")
        }
    }
}
