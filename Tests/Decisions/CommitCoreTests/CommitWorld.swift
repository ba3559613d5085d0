import CommitCore
import ShardModel

/// A coordinator, its shards and a recovery loop, small enough that every order of their steps can be tried.
///
/// A request and its answer are separate steps, a lost connection leaves the server at work or not, and recovery may run at any time with
/// what it read long ago.
struct CommitWorld: Hashable {
    enum Data: Hashable { case open, prepared, committed, undone }
    enum Wire: Hashable { case idle, request(CommitAction), answer(CommitEvent), closed }
    /// Recovery's way to deleting a record: read the records, list the shards one by one, delete.
    enum Forgetting: Hashable { case none, listing(isCommitted: Bool, names: [Int: [String]]), deleting }

    let writers: [Int]
    var machine: CommitMachine
    var data: [Data]
    var wires: [Wire]
    /// What a server goes on doing although nobody listens.
    var orphans: [CommitAction?]
    /// Participants that are asked on new connections.
    var anew: Set<Int> = []
    /// nil: none; false: the abort marker.
    var record: Bool?
    var isLookingUp = false
    var mayForget = false
    var isCrashed = false
    var told: CommitOutcome?
    /// Participants of which the client was told that they come later.
    var late: Set<Int> = []
    var known: Decision?
    var forgetting = Forgetting.none
    /// Faults that may still happen.
    var faults: Int

    static let id = try! GlobalTransactionID(cluster: "c", router: "r", start: 1, number: 1, decider: ShardID("s0"))
    static let recovery = RecoveryCore(cluster: "c", patience: .seconds(1))

    init(wrote: [Bool], faults: Int) {
        machine = CommitMachine(wrote.enumerated().map { CommitParticipant(index: $0.offset, wrote: $0.element) })
        writers = wrote.indices.filter { wrote[$0] }
        data = wrote.map { _ in .open }
        wires = wrote.map { _ in .idle }
        orphans = wrote.map { _ in nil }
        self.faults = faults
        perform(machine.start())
    }

    // MARK: Steps

    mutating func perform(_ actions: [CommitAction]) {
        for action in actions {
            switch action {
            case .commit(let index), .prepare(let index), .decide(let index), .commitPrepared(let index), .rollBack(let index),
                .rollBackPrepared(let index):
                wires[index] = .request(action)
            case .lookUpDecision: isLookingUp = true
            case .commitPreparedAnew(let index):
                close(index, arrived: true)
                anew.insert(index)
            case .abandon(let index): close(index, arrived: true)
            case .finish(let outcome, let unfinished): (told, late) = (outcome, Set(unfinished))
            case .forgetDecision: mayForget = true
            }
        }
    }

    mutating func receive(_ event: CommitEvent) {
        if !isCrashed { perform(machine.receive(event)) }
    }

    /// The server answers; `succeeds` false: with an error, if it may.
    mutating func run(_ action: CommitAction, succeeds: Bool) -> CommitEvent {
        switch action {
        case .commit(let index):
            data[index] = succeeds ? .committed : .undone
            return succeeds ? .committed(index) : .failed(index, sqlState: "40001")
        case .prepare(let index):
            data[index] = succeeds ? .prepared : .undone
            return succeeds ? .prepared(index) : .failed(index, sqlState: "40001")
        case .decide(let index):
            guard record == nil, succeeds else {
                data[index] = .undone
                return .failed(index, sqlState: "23505")
            }
            record = true
            data[index] = .committed
            return .decisionRecorded(index)
        case .commitPrepared(let index):
            guard succeeds else { return .failed(index, sqlState: "55000") }
            guard data[index] == .prepared else { return .failed(index, sqlState: "42704") }
            data[index] = .committed
            return .committed(index)
        case .rollBackPrepared(let index):
            guard succeeds else { return .failed(index, sqlState: "55000") }
            guard data[index] == .prepared else { return .failed(index, sqlState: "42704") }
            data[index] = .undone
            return .rolledBack(index)
        case .rollBack(let index):
            if data[index] == .open { data[index] = .undone }
            return .rolledBack(index)
        case .commitPreparedAnew, .lookUpDecision, .abandon, .finish, .forgetDecision:
            preconditionFailure("no request")
        }
    }

    /// The connection is gone. `arrived`: the server has the request that was under way, and goes on with it.
    mutating func close(_ index: Int, arrived: Bool) {
        if case .request(let action) = wires[index], arrived {
            orphans[index] = action
        } else if data[index] == .open {
            orphans[index] = .rollBack(index)
        }
        if anew.remove(index) != nil { orphans[index] = .commitPrepared(index) }
        wires[index] = .closed
    }

    mutating func exclude() { if record == nil { record = false } }

    /// One step of recovery for a prepared transaction; false when it leaves it.
    mutating func recover(_ index: Int) -> Bool {
        switch Self.recovery.step(for: InDoubt(name: Self.id.name(of: index), age: .seconds(60)), decision: known) {
        case .lookUp: known = Decision(committed: record)
        case .exclude:
            exclude()
            known = nil
        case .commit: data[index] = .committed
        case .rollBack: data[index] = .undone
        case .leave: return false
        }
        return true
    }

    mutating func forgetStep() {
        switch forgetting {
        case .none:
            if let record { forgetting = .listing(isCommitted: record, names: [:]) }
        case .listing(let isCommitted, var names):
            if let next = data.indices.first(where: { names[$0] == nil }) {
                names[next] = data[next] == .prepared ? [Self.id.name(of: next)] : []
                forgetting = .listing(isCommitted: isCommitted, names: names)
                return
            }
            let shards = data.indices.map { ShardID("s\($0)") }
            let row = DecisionRecord(key: Self.id.key, isCommitted: isCommitted, age: .seconds(60), participants: isCommitted ? shards : [])
            let inDoubt = Dictionary(uniqueKeysWithValues: names.map { (ShardID("s\($0.key)"), $0.value) })
            let ids = Self.recovery.forgettable([row], of: ShardID("s0"), inDoubt: inDoubt, shards: Set(shards))
            forgetting = ids == [Self.id] ? .deleting : .none
        case .deleting:
            // The condition of `CommitStatements.forget`: a transaction that began before the marker is still open.
            if record == true || data[writers[0]] != .open { record = nil }
            forgetting = .none
        }
    }

    // MARK: Branches

    /// Every world that one step makes of this one.
    func successors(recoversAnyTime: Bool) -> [CommitWorld] {
        var result: [CommitWorld] = []
        func branch(isFault: Bool = false, _ change: (inout CommitWorld) -> Void) {
            guard !isFault || faults > 0 else { return }
            var next = self
            if isFault { next.faults -= 1 }
            change(&next)
            if next != self { result.append(next) }
        }
        for index in wires.indices {
            switch wires[index] {
            case .request(let action):
                branch { $0.wires[index] = .answer($0.run(action, succeeds: true)) }
                branch(isFault: true) { $0.wires[index] = .answer($0.run(action, succeeds: false)) }
            case .answer(let event):
                branch {
                    $0.wires[index] = .idle
                    $0.receive(event)
                }
            case .idle, .closed: break
            }
            if wires[index] != .closed, !isCrashed {
                for arrived in [true, false] {
                    branch(isFault: true) {
                        $0.close(index, arrived: arrived)
                        $0.receive(.lost(index))
                    }
                }
            }
            if let orphan = orphans[index] {
                branch {
                    $0.orphans[index] = nil
                    _ = $0.run(orphan, succeeds: true)
                }
            }
            if anew.contains(index) {
                branch {
                    $0.anew.remove(index)
                    _ = $0.run(.commitPrepared(index), succeeds: true)
                    $0.receive(.committed(index))
                }
            }
            let isOver = isCrashed || machine.isDone
            if data[index] == .prepared, recoversAnyTime || isOver { branch { _ = $0.recover(index) } }
        }
        if isLookingUp, !isCrashed {
            branch {
                $0.isLookingUp = false
                $0.exclude()
                $0.receive($0.record == true ? .decisionFound : .decisionExcluded)
            }
            branch(isFault: true) {
                $0.isLookingUp = false
                $0.receive(.decisionUnreachable)
            }
        }
        if !isCrashed, !machine.isDone {
            branch(isFault: true) {
                $0.isLookingUp = false
                $0.receive(.timeout)
            }
            branch(isFault: true) {
                for index in $0.wires.indices where $0.wires[index] != .closed || $0.anew.contains(index) { $0.close(index, arrived: true) }
                $0.isCrashed = true
            }
            branch(isFault: true) {
                for index in $0.wires.indices where $0.wires[index] != .closed { $0.close(index, arrived: false) }
                ($0.isCrashed, $0.anew) = (true, [])
            }
        }
        if mayForget { branch { ($0.mayForget, $0.record) = (false, nil) } }
        if record != nil || forgetting != .none, recoversAnyTime || isCrashed || machine.isDone { branch { $0.forgetStep() } }
        return result
    }

    /// Goes on without faults until nothing is left to do.
    mutating func settle() {
        faults = 0
        var budget = 200
        while budget > 0, let next = successors(recoversAnyTime: false).first(where: { !$0.isWaitingForRecoveryOnly(than: self) })
            ?? successors(recoversAnyTime: false).first
        {
            self = next
            budget -= 1
        }
    }

    private func isWaitingForRecoveryOnly(than other: CommitWorld) -> Bool {
        data == other.data && wires == other.wires && orphans == other.orphans && machine == other.machine && record == other.record
    }

    // MARK: What must hold

    var isAtomic: Bool {
        let parts = writers.map { data[$0] }
        return !(parts.contains(.committed) && parts.contains(.undone))
    }

    /// In the end only.
    var isSettled: Bool {
        !data.contains(.open) && !data.contains(.prepared) && record == nil && orphans.allSatisfy { $0 == nil }
    }

    var toldTheTruth: Bool {
        switch told {
        case .committed: !writers.contains { data[$0] == .undone || data[$0] == .open || (data[$0] == .prepared && !late.contains($0)) }
        case .aborted: !writers.contains { data[$0] == .committed }
        case .unknown, nil: true
        }
    }

    /// The events that could come now.
    func isPossible(_ event: CommitEvent) -> Bool {
        func asks(_ index: Int, _ match: (CommitAction) -> Bool) -> Bool {
            guard wires.indices.contains(index) else { return false }
            switch wires[index] {
            case .request(let action): return match(action)
            case .answer: return true
            case .idle, .closed: return false
            }
        }
        switch event {
        case .committed(let index): return anew.contains(index) || asks(index) { $0 == .commit(index) || $0 == .commitPrepared(index) }
        case .prepared(let index): return asks(index) { $0 == .prepare(index) }
        case .decisionRecorded(let index): return asks(index) { $0 == .decide(index) }
        case .rolledBack(let index): return asks(index) { $0 == .rollBack(index) || $0 == .rollBackPrepared(index) }
        case .failed(let index, _): return asks(index) { _ in true }
        case .lost(let index): return wires.indices.contains(index) && wires[index] != .closed && !machine.isDone
        case .decisionFound, .decisionExcluded, .decisionUnreachable: return isLookingUp
        case .timeout: return !machine.isDone
        }
    }
}
