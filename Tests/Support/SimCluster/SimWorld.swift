internal import LogicalReplication
package import ReshardCore
internal import ShardModel
internal import TestKit

/// Routers, a catalog, two shards and managers on a network that delays, loses and cuts, while one job moves the only vnode and clients write.
///
/// What is checked: no write is taken by a shard that is not the owner at that moment; the new owner has every row of the old one when the owners
/// are switched; no acknowledged write is missing in the end; each statement is answered once; the job ends, with nothing left behind. A world is
/// one run, by its seed.
package final class SimWorld {
    private static let faultsEnd = 400
    private static let writesEnd = 600
    private static let end = 30_000
    static let budget = 120

    let mutation: SimMutation?
    var clock = SimClock()
    var random: SeededGenerator
    package private(set) var finding: String?
    /// How the job ended; nil: it has not.
    package private(set) var outcome: JobEnd?
    private var outcomeTime = 0
    package private(set) var switches = 0
    package private(set) var abandoned = 0
    package private(set) var heldCount = 0

    var shards: [SimShard] = [SimShard(), SimShard()]
    var routers: [SimRouter]
    var managers: [SimManager] = []
    // The catalog.
    var snapshot = SimSnapshot()
    var record: JobRecord?
    var term = 0

    private var nextID = 0
    /// Writes that a client was told of: true: done; false: not known.
    private var answers: [Int: Bool] = [:]
    private var wish: JobRequest?
    private var writes = 0
    private var streamPausedUntil = 0

    package init(seed: UInt64, mutation: SimMutation? = nil) {
        self.mutation = mutation
        random = SeededGenerator(seed: seed)
        routers = []
        routers = (0..<chance(2) + 2).map { _ in SimRouter() }
    }

    var now: Int { clock.now }
    var isFaulty: Bool { now < Self.faultsEnd }
    func chance(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    /// One in `bound`, while there are faults.
    func fault(_ bound: Int) -> Bool { isFaulty && chance(bound) == 0 }
    func fail(_ what: String) { if finding == nil { finding = "\(now) ms: \(what)" } }
    func makeID() -> Int {
        nextID += 1
        return nextID
    }

    /// Runs to the end.
    package func run() {
        for row in 0..<5 { shards[0].rows.insert(-1 - row) }
        for index in routers.indices { after(chance(20)) { self.poll(index) } }
        after(1) { self.write() }
        after(2) { self.stream() }
        after(10 + chance(30)) { self.startManager() }
        after(chance(50)) { self.disturb() }
        // Behind the end: routers learn of it, and their last statements are answered.
        while finding == nil, outcome == nil || now < max(Self.writesEnd, outcomeTime) + 300, let event = clock.next() {
            if now > Self.end {
                fail("the job does not end: \(record.map { "\($0.step)" } ?? "no record")")
                break
            }
            event()
        }
        if finding == nil { checkEnd() }
    }

    func after(_ delay: Int, _ event: @escaping () -> Void) { clock.plan(after: delay, event) }

    /// A message: it arrives, once, late or never.
    func send(_ arrive: @escaping () -> Void) {
        if fault(25) { return }
        after(fault(15) ? 20 + chance(200) : 1 + chance(4), arrive)
    }

    // MARK: Faults

    private func disturb() {
        guard isFaulty else { return }
        let index = chance(routers.count)
        switch chance(5) {
        case 0: routers[index].pausedUntil = now + chance(150)
        case 1: crash(index)
        case 2:
            // A manager dies, or is stopped and goes on when another one leads.
            if let last = managers.indices.last {
                if chance(2) == 0 { managers[last].isAlive = false } else { managers[last].pausedUntil = now + 20 + chance(200) }
                after(5 + chance(40)) { self.startManager() }
            }
        case 3: streamPausedUntil = now + chance(150)
        default: break
        }
        after(20 + chance(60)) { self.disturb() }
    }

    private func crash(_ index: Int) {
        // Its clients see the connection end.
        for write in Array(routers[index].flights.keys) + routers[index].held { answer(write, isDone: false) }
        var router = SimRouter()
        router.incarnation = routers[index].incarnation + 1
        (router.saved, router.snapshot) = (routers[index].saved, routers[index].saved)
        routers[index] = router
    }

    // MARK: Clients

    private func write() {
        guard now < Self.writesEnd else { return }
        let (write, index) = (makeID(), chance(routers.count))
        writes += 1
        onRouter(index) { self.accept(write, on: index) }
        after(1 + chance(8)) { self.write() }
    }

    func answer(_ write: Int, isDone: Bool) {
        if answers.updateValue(isDone, forKey: write) != nil { fail("statement \(write) is answered twice") }
    }

    func countHeld() { heldCount += 1 }

    // MARK: Streams

    /// From the owner by the job's direction to the other side, in pieces.
    private func stream() {
        after(2) { self.stream() }
        guard let record, record.step.isStreaming, now >= streamPausedUntil, !fault(5) else { return }
        let from = record.step == .guarding || record.direction == .back ? 1 : 0
        let upTo = min(shards[from].log.count, shards[from].streamed + chance(6))
        shards[1 - from].rows.formUnion(shards[from].log[shards[from].streamed..<upTo])
        shards[from].streamed = upTo
    }

    // MARK: Catalog

    func publish(_ change: (inout SimSnapshot) -> Void) {
        change(&snapshot)
        snapshot.epoch += 1
        for index in routers.indices { send { self.poll(index, again: false) } }
    }

    /// The compare-and-set of the owners has taken effect.
    func switched(from old: Side) {
        switches += 1
        let missing = shards[old.rawValue].rows.subtracting(shards[old.other.rawValue].rows)
        if !missing.isEmpty { fail("the new owner lacks \(missing.sorted())") }
    }

    // MARK: Managers

    private func startManager() {
        guard outcome == nil else { return }
        term += 1
        let moves = [VNodeMove(vnode: VNode(id: 1, range: .whole), source: ShardID("source"), target: ShardID("target"))]
        let job = record ?? JobRecord(id: JobID("j"), kind: .move, database: "d", moves: moves)
        managers.append(SimManager(machine: ReshardMachine(job, planned: [.rows(ShardID("target"))], wayBack: []), term: term))
        let index = managers.count - 1
        take(managers[index].machine.start(), index)
        if wish == nil {
            // Sometimes a cancel in the middle, otherwise the end that the operator wants.
            wish = chance(3) == 0 ? .cancel : chance(2) == 0 ? .reverse : .finish
            after(chance(400)) { self.ask() }
        }
    }

    private func ask() {
        guard outcome == nil, let wish else { return }
        after(30) { self.ask() }
        guard let index = managers.indices.last, managers[index].isAlive, managers[index].pausedUntil <= now else {
            if !isFaulty { startManager() }
            return
        }
        let step = managers[index].machine.record.step
        switch wish {
        // Too late: what is left is to finish.
        case .cancel: hand(.request(step == .guarding ? .finish : .cancel), index)
        case .reverse, .finish: if step == .guarding { hand(.request(wish), index) }
        }
    }

    func over(_ end: JobEnd) {
        outcome = end
        outcomeTime = now
        abandoned = record?.abandoned ?? 0
    }

    // MARK: In the end

    private func checkEnd() {
        guard let outcome else { return fail("the job has not ended") }
        let owner = snapshot.owner
        if (outcome == .completed) != (owner == .target) { fail("\(outcome), and the owner is the \(owner)") }
        if snapshot.hold != nil { fail("the hold is left") }
        let rows = shards[owner.rawValue].rows
        for (write, isDone) in answers where isDone && !rows.contains(write) { fail("acknowledged write \(write) is lost") }
        if !shards[owner.other.rawValue].rows.isEmpty { fail("rows are left on the \(owner.other)") }
        if answers.count != writes { fail("\(writes - answers.count) statements are never answered") }
    }
}
