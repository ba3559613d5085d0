import ManagerService
import PGChannel
import PGWire
import ReshardCore
import ShardModel
import Synchronization
import Testing

/// Runs a job by its machine: records and the catalog are in memory, the servers are real.
final class JobLoop: Sendable {
    struct Crash: Error {}

    private let kit: ReshardKit
    let router: TallyRouter
    private let state: Mutex<State>

    struct State {
        var record: JobRecord
        var work: PostgresServerWork
        /// With the step that was entered since it was persisted.
        var current: JobRecord
        /// Steps that were persisted or entered, in order.
        var steps: [JobStep] = []
        var crashed: Set<JobStep> = []
    }

    /// - kit: before the first step.
    init(_ kit: ReshardKit) {
        self.kit = kit
        router = TallyRouter(kit)
        state = Mutex(State(record: kit.record, work: kit.work, current: kit.record))
    }

    var steps: [JobStep] { state.withLock(\.steps) }
    var record: JobRecord { state.withLock(\.record) }
    var work: PostgresServerWork { state.withLock(\.work) }

    /// Until the job is over.
    ///
    /// - crashesAtEachStep: the manager ends when a step is persisted for the first time, and a new one goes on.
    /// - request: for a step that was persisted; asked once.
    func run(crashesAtEachStep: Bool = false, asking requests: [JobStep: JobRequest]) async throws -> JobEnd? {
        var requests = requests
        while true {
            do {
                return try await lead(crashesAtEachStep, &requests)
            } catch is Crash {
                await work.stopAll()
                state.withLock { $0.work = PostgresServerWork(box: nil, group: ReshardKit.group, settings: .patient) }
            }
        }
    }

    private func lead(_ crashes: Bool, _ requests: inout [JobStep: JobRequest]) async throws -> JobEnd? {
        let catalog = router.catalog
        var machine = ReshardMachine(record, planned: JobNames.planned(record, in: catalog), wayBack: JobNames.wayBack(record))
        var running: Task<JobEvent, Never>?
        var actions = machine.start()
        while true {
            var next: [JobAction] = []
            for action in actions {
                switch action {
                case .persist(let record):
                    let isFirst = state.withLock { state in
                        (state.record, state.current) = (record, record)
                        state.steps.append(record.step)
                        return state.crashed.insert(record.step).inserted
                    }
                    await work.follow(record, in: router.catalog)
                    if crashes, isFirst, !record.isOver {
                        running?.cancel()
                        _ = await running?.value
                        throw Crash()
                    }
                    next += machine.receive(.persisted(version: record.version))
                    if let request = requests.removeValue(forKey: record.step) {
                        if record.step == .guarding { await router.awaitWrites(100) }
                        next += machine.receive(.request(request))
                    }
                case .enter(let record):
                    let isFirst = state.withLock { state in
                        state.current = record
                        state.steps.append(record.step)
                        return state.crashed.insert(record.step).inserted
                    }
                    if crashes, isFirst { throw Crash() }
                    next += requests.removeValue(forKey: record.step).map { machine.receive(.request($0)) } ?? []
                case .run(let id, let effect):
                    _ = await running?.value
                    running = Task { .outcome(id, await self.carryOut(effect, id)) }
                case .interrupt:
                    running?.cancel()
                    _ = await running?.value
                    running = nil
                case .accept: break
                case .reject(let request): Issue.record("\(request) was rejected")
                case .stop(let end): return end
                }
            }
            if next.isEmpty {
                let task = try #require(running, "nothing runs in \(record.step)")
                running = nil
                next = machine.receive(await task.value)
            }
            actions = next
        }
    }

    private func carryOut(_ effect: JobEffect, _ id: EffectID) async -> JobOutcome {
        let (record, work, catalog) = (state.withLock(\.current), work, router.catalog)
        switch effect {
        case .hold: return await router.hold()
        case .copy:
            // No router has announced anything.
            let outcome = await work.endStrangers(record, sparing: [:], in: catalog)
            return outcome == .done ? await work.run(effect, id, of: record, in: catalog) : outcome
        case .fence: return await work.fence(record, at: router.heldAt ?? catalog.epoch, sparing: [:], in: catalog)
        case .switchOwners: return router.switchOwners(record)
        case .lift:
            if router.isSwitched(record) { return .switched }
            guard let epoch = router.release() else { return .done }
            return await work.unfence(record, at: epoch, in: catalog)
        case .mirror:
            // What the test waits for is a request: it came already.
            return await work.run(effect, id, of: record, in: catalog)
        default: return await work.run(effect, id, of: record, in: catalog)
        }
    }
}

/// Counts up rows of `tally` on their owners, as a router would: it holds statements, drains, and greets each shard with its epoch.
final class TallyRouter: Sendable {
    private struct State {
        var catalog: CatalogSnapshot
        var heldAt: Epoch?
        var underWay = 0
        var counts: [Int: Int] = [:]
        var isOver = false
        var failures: [String] = []
    }
    private let state: Mutex<State>
    private let kit: ReshardKit
    private let moved = Set(ReshardKit.moved.map(\.id))

    init(_ kit: ReshardKit) {
        self.kit = kit
        state = Mutex(State(catalog: kit.catalog))
    }

    var catalog: CatalogSnapshot { state.withLock(\.catalog) }
    var heldAt: Epoch? { state.withLock(\.heldAt) }

    // MARK: the job's effects

    func hold() async -> JobOutcome {
        state.withLock { state in
            state.catalog.epoch = state.catalog.epoch.next
            state.heldAt = state.catalog.epoch
        }
        while state.withLock({ $0.underWay > 0 }) { try? await Task.sleep(for: .milliseconds(2)) }
        return .done
    }

    func isSwitched(_ record: JobRecord) -> Bool {
        let owner = record.direction == .forward ? ReshardKit.target : ReshardKit.source
        return Set(catalog.shards[owner]?.vnodes.map(\.id) ?? []).isSuperset(of: moved)
    }

    func switchOwners(_ record: JobRecord) -> JobOutcome {
        state.withLock { state in
            guard state.heldAt != nil else { return .busy("there is no hold") }
            let isForward = record.direction == .forward
            state.catalog.shards[ReshardKit.source]?.vnodes = isForward ? ReshardKit.kept : ReshardKit.vnodes
            state.catalog.shards[ReshardKit.target]?.vnodes = isForward ? ReshardKit.moved : []
            state.catalog.shards[ReshardKit.target]?.status = .active
            state.catalog.epoch = state.catalog.epoch.next
            state.heldAt = nil
            return .done
        }
    }

    func release() -> Epoch? {
        state.withLock { state in
            defer { state.heldAt = nil }
            state.catalog.epoch = state.catalog.epoch.next
            return state.heldAt
        }
    }

    // MARK: clients

    /// Until `stop`: single rows, and now and then a reference table on every shard of the database.
    func write(seed: Int) async {
        var sessions: [ShardID: PGClient] = [:]
        var number = seed
        while !state.withLock(\.isOver) {
            number += 7
            let id = 1 + number % 300
            // By one writer only: two would come in another order on each shard.
            let isReference = seed == 0 && number % 10 == 0
            guard let owners = begin(isReference ? nil : id) else {
                try? await Task.sleep(for: .milliseconds(2))
                continue
            }
            do {
                for owner in owners {
                    let statement = isReference ? "UPDATE countries SET name = left(name || '+\(number)', 100) WHERE code = 'c\(1 + number % 40)'"
                        : "UPDATE tally SET n = n + 1 WHERE id = \(id)"
                    try await run(statement, on: owner, &sessions)
                }
                end(isReference ? nil : id)
            } catch {
                state.withLock { state in
                    state.underWay -= 1
                    state.failures.append("\(error)")
                }
            }
        }
        for client in sessions.values { await client.close() }
    }

    /// So many more than there were.
    func awaitWrites(_ number: Int) async {
        func count() -> Int { state.withLock { $0.counts.values.reduce(0, +) } }
        let goal = count() + number
        while count() < goal { try? await Task.sleep(for: .milliseconds(5)) }
    }

    func stop() { state.withLock { $0.isOver = true } }

    /// nil: held.
    private func begin(_ id: Int?) -> [ShardID]? {
        state.withLock { state in
            // Everything, so that the fence may end every session.
            if state.heldAt != nil { return nil }
            let owners: [ShardID]
            if let id {
                let token = Token(hashing: Array(String(id).utf8).span.bytes)
                owners = state.catalog.shards.values.filter { $0.vnodes.contains { $0.range.contains(token) } }.map(\.id)
            } else {
                owners = state.catalog.shards.values.filter { !$0.isJoining }.map(\.id).sorted()
            }
            state.underWay += 1
            return owners
        }
    }

    private func end(_ id: Int?) {
        state.withLock { state in
            state.underWay -= 1
            if let id { state.counts[id, default: 0] += 1 }
        }
    }

    private func run(_ statement: String, on shard: ShardID, _ sessions: inout [ShardID: PGClient]) async throws {
        if sessions[shard]?.isOpen != true {
            let client = try await kit.connect(shard)
            _ = try await client.query("SELECT pgmosaic.hello('cluster', $1, 'router', $2)", [.text(shard.name), .integer(catalog.epoch.number)])
            sessions[shard] = client
        }
        do {
            let result = try await sessions[shard]?.query(statement)
            if result?.rowsAffected != 1 { state.withLock { $0.failures.append("\(statement) changed \(result?.rowsAffected ?? -1) rows") } }
        } catch let error as PGClientError where error.sqlState.code == "57P01" || error.sqlState == .connectionFailure {
            // Ended by the fence between two statements of ours; nothing of ours was under way.
            sessions[shard] = nil
            try await run(statement, on: shard, &sessions)
        }
    }

    /// Every acknowledged write is on its owner, once.
    func check() async throws {
        let (counts, failures, catalog) = state.withLock { ($0.counts, $0.failures, $0.catalog) }
        #expect(failures == [])
        var found: [Int: Int] = [:]
        for (shard, record) in catalog.shards where !record.vnodes.isEmpty {
            for line in try await kit.run("SELECT id, n FROM tally", on: shard).split(separator: "\n") {
                let parts = line.split(separator: "|").compactMap { Int($0) }
                let token = Token(hashing: Array(String(parts[0]).utf8).span.bytes)
                if record.vnodes.contains(where: { $0.range.contains(token) }) { found[parts[0]] = parts[1] }
            }
        }
        #expect(found.count == 300)
        for (id, count) in counts where found[id] != count { Issue.record("row \(id): \(count) writes were acknowledged, and it has \(found[id] ?? -1)") }
        #expect(counts.values.reduce(0, +) > 100)
    }
}
