import LogicalReplication
import ReshardCore
import ShardModel

enum Kit {
    static let a = ShardID("a")
    static let b = ShardID("b")
    static let slot = LedgerEntry.slot(a, name: "s")
    static let planned: [LedgerEntry] = [.publication(a, name: "p"), slot, .schema(b, name: "public"), .rows(b)]
    static let wayBack: [LedgerEntry] = [.publication(b, name: "p"), .slot(b, name: "s")]

    static func move(_ id: UInt32, _ range: ClosedRange<UInt64>, from source: ShardID = a, to target: ShardID = b) -> VNodeMove {
        VNodeMove(vnode: VNode(id: id, range: TokenRange(range)), source: source, target: target)
    }

    static func job(_ id: String = "j", _ moves: [VNodeMove] = [move(1, 0...99)]) -> JobRecord {
        JobRecord(id: JobID(id), kind: .move, database: "shop", moves: moves)
    }

    static func machine(_ record: JobRecord = job()) -> ReshardMachine { ReshardMachine(record, planned: planned, wayBack: wayBack) }

    /// What a run that works reports.
    static func success(_ effect: JobEffect) -> JobOutcome {
        effect == .measure ? .ended([a: LSN(7)]) : .done
    }
}

/// A machine and the catalog's copy of its record, driven step by step.
struct Driver: Hashable {
    var machine: ReshardMachine
    /// What the catalog has; nil: nothing yet.
    var stored: JobRecord?
    var pending: JobRecord?
    var running: (EffectID, JobEffect)?
    var answers: [String] = []
    var end: JobEnd??
    /// Every step that was written or entered, in order.
    var steps: [JobStep] = []

    static func == (a: Driver, b: Driver) -> Bool {
        a.machine == b.machine && a.stored == b.stored && a.pending == b.pending && a.running?.0 == b.running?.0
    }
    func hash(into hasher: inout Hasher) { hasher.combine(machine) }

    init(_ record: JobRecord = Kit.job()) {
        machine = Kit.machine(record)
        if record.version > 0 { stored = record }
        take(machine.start())
    }

    mutating func take(_ actions: [JobAction]) {
        for action in actions {
            switch action {
            case .persist(let record): (pending, running) = (record, nil)
            case .enter(let record): steps.append(record.step)
            case .run(let id, let effect): running = (id, effect)
            case .interrupt: running = nil
            case .accept(let request): answers.append("accepted \(request)")
            case .reject(let request): answers.append("rejected \(request)")
            case .stop(let end): self.end = .some(end)
            }
        }
    }

    mutating func receive(_ event: JobEvent) { take(machine.receive(event)) }

    mutating func persist() {
        guard let record = pending else { return }
        pending = nil
        stored = record
        steps.append(record.step)
        receive(.persisted(version: record.version))
    }

    mutating func report(_ outcome: JobOutcome) {
        guard let (id, _) = running else { return }
        running = nil
        receive(.outcome(id, outcome))
    }

    /// Everything works, until nothing is left to do or the step is reached and its effect runs.
    mutating func go(to step: JobStep? = nil) {
        for _ in 0..<100 {
            if pending != nil {
                persist()
            } else if machine.record.step == step {
                return
            } else if let (_, effect) = running, effect != .mirror {
                report(Kit.success(effect))
            } else {
                return
            }
        }
    }

    /// Another manager goes on from what the catalog has.
    mutating func crash() {
        let answers = answers
        self = Driver(stored ?? Kit.job())
        self.answers = answers
    }
}
