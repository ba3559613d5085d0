internal import LogicalReplication
internal import ReshardCore
internal import ShardModel

extension SimWorld {
    /// When the manager is not stopped or dead.
    func onManager(_ index: Int, _ event: @escaping () -> Void) {
        guard managers[index].isAlive else { return }
        let pause = managers[index].pausedUntil - now
        if pause > 0 { after(pause, { self.onManager(index, event) }) } else { event() }
    }

    func hand(_ event: JobEvent, _ index: Int) { take(managers[index].machine.receive(event), index) }

    func take(_ actions: [JobAction], _ index: Int) {
        for action in actions {
            switch action {
            case .persist(let record): persist(record, index)
            case .enter: break
            case .run(let id, let effect):
                managers[index].run = id
                run(effect, id, index)
            case .interrupt: managers[index].run = nil
            case .accept, .reject: break
            case .stop(let end):
                managers[index].isAlive = false
                if let end { over(end) }
            }
        }
    }

    /// A request and its answer; `lost` where neither came in time.
    private func call<Answer>(
        _ index: Int, _ work: @escaping () -> Answer, _ answered: @escaping (Answer) -> Void, lost: @escaping () -> Void
    ) {
        var isOver = false
        func once(_ event: @escaping () -> Void) {
            onManager(index) {
                if isOver { return }
                isOver = true
                event()
            }
        }
        send {
            let answer = work()
            self.send { once { answered(answer) } }
        }
        after(50) { once(lost) }
    }

    private func persist(_ next: JobRecord, _ index: Int) {
        let term = managers[index].term
        call(
            index,
            {
                if self.record == next { return true }
                guard self.term == term, self.record?.version ?? 0 == next.version - 1 else { return false }
                self.record = next
                return true
            },
            { self.hand($0 ? .persisted(version: next.version) : .superseded, index) },
            lost: { self.hand(.persistUnknown(version: next.version), index) })
    }

    private func report(_ outcome: JobOutcome, _ id: EffectID, _ index: Int) {
        guard managers[index].run == id else { return }
        managers[index].run = nil
        hand(.outcome(id, outcome), index)
    }

    private func run(_ effect: JobEffect, _ id: EffectID, _ index: Int) {
        let old: Side = managers[index].machine.record.direction == .forward ? .source : .target
        switch effect {
        case .check, .prepare, .shield, .verify, .arm: work(id, index) { .done }
        case .copy:
            work(id, index) {
                self.shards[1].rows = self.shards[0].rows
                self.shards[0].streamed = self.shards[0].log.count
                return .done
            }
        case .catchUp(let pause): after(Int(pause.components.seconds) * 10) { self.waitForLag(3, old, id, index) }
        case .hold:
            hold(id, index)
            managers[index].earlyEnd = shards[old.rawValue].log.count
        case .fence: fence(old, id, index)
        case .measure:
            let early = mutation == .endBeforeFence ? managers[index].earlyEnd : nil
            let name = managers[index].machine.record.oldOwners[0]
            work(id, index) { .ended([name: LSN(UInt64(early ?? self.shards[old.rawValue].log.count))]) }
        case .reach(let ends): reach(Int(ends.values.first?.value ?? 0), old, id, index)
        case .switchOwners: switchOwners(old, id, index)
        case .lift: lift(old, id, index)
        case .mirror: break
        case .clean:
            work(id, index) {
                self.shards[self.snapshot.owner.other.rawValue].rows = []
                return .done
            }
        }
    }

    /// What is done elsewhere under a record's version, and refused when a newer one is known there.
    private func work(_ id: EffectID, _ index: Int, _ work: @escaping () -> JobOutcome) {
        call(
            index, { self.record?.version == id.version ? work() : .unavailable("a newer record") }, { self.report($0, id, index) },
            lost: { self.report(.unavailable("no answer"), id, index) })
    }

    private func waitForLag(_ lagMax: Int, _ from: Side, _ id: EffectID, _ index: Int) {
        onManager(index) {
            guard self.managers[index].run == id else { return }
            let shard = self.shards[from.rawValue]
            if shard.log.count - shard.streamed <= lagMax { return self.report(.done, id, index) }
            self.after(3) { self.waitForLag(lagMax, from, id, index) }
        }
    }

    // MARK: The cutover

    private func hold(_ id: EffectID, _ index: Int) {
        (managers[index].acks, managers[index].holdEpoch, managers[index].holdStart, managers[index].earlyEnd) = ([:], nil, now, nil)
        call(
            index,
            { () -> Int? in
                guard self.record?.version == id.version else { return nil }
                if self.snapshot.hold == nil { self.publish { $0.hold = $0.epoch + 1 } }
                return self.snapshot.hold
            },
            { hold in
                guard let hold else { return self.report(.busy("a newer record"), id, index) }
                self.managers[index].holdEpoch = hold
                self.waitForAcks(id, index)
            }, lost: { self.report(.busy("no answer"), id, index) })
    }

    func acknowledged(_ router: Int, _ ack: SimManager.Ack, _ hold: Int, _ index: Int) {
        onManager(index) {
            guard self.managers[index].holdEpoch == hold, ack.incarnation >= self.managers[index].acks[router]?.incarnation ?? 0 else { return }
            self.managers[index].acks[router] = ack
        }
    }

    private func waitForAcks(_ id: EffectID, _ index: Int) {
        onManager(index) {
            guard self.managers[index].run == id else { return }
            if self.mutation == .forgetAcknowledgement {
                for router in self.routers.indices {
                    self.managers[index].acks[router] = .init(incarnation: 0, sessions: Set(self.routers[router].sessions.values))
                }
            }
            if self.managers[index].acks.count == self.routers.count { return self.report(.done, id, index) }
            if self.now - self.managers[index].holdStart > 60 {
                // Who is silent is cut off by the fence; or somebody says that he is not done.
                return self.report(self.chance(2) == 0 ? .done : .busy("drain limit"), id, index)
            }
            self.after(2) { self.waitForAcks(id, index) }
        }
    }

    private func fence(_ old: Side, _ id: EffectID, _ index: Int) {
        guard let epoch = managers[index].holdEpoch else { return report(.busy("no hold"), id, index) }
        if mutation == .skipFence { return after(1) { self.onManager(index) { self.report(.done, id, index) } } }
        let spared = managers[index].acks.values.reduce(into: Set<Int>()) { $0.formUnion($1.sessions) }
        onShard(old, id, index) { shard in
            shard.fence = max(shard.fence, epoch)
            shard.ended.formUnion(shard.sessions.subtracting(spared))
            shard.sessions.formIntersection(spared)
        }
    }

    private func onShard(_ side: Side, _ id: EffectID, _ index: Int, _ work: @escaping (inout SimShard) -> Void) {
        call(
            index,
            { () -> Bool in
                guard self.shards[side.rawValue].version <= id.version else { return false }
                self.shards[side.rawValue].version = id.version
                work(&self.shards[side.rawValue])
                return true
            },
            { self.report($0 ? .done : .unavailable("a newer record"), id, index) }, lost: { self.report(.unavailable("no answer"), id, index) })
    }

    private func reach(_ end: Int, _ old: Side, _ id: EffectID, _ index: Int) {
        onManager(index) {
            guard self.managers[index].run == id else { return }
            if self.shards[old.rawValue].streamed >= end { return self.report(.done, id, index) }
            if self.now - self.managers[index].holdStart > Self.budget { return self.report(.busy("over the budget"), id, index) }
            self.after(1) { self.reach(end, old, id, index) }
        }
    }

    private func switchOwners(_ old: Side, _ id: EffectID, _ index: Int) {
        let epoch = managers[index].holdEpoch
        call(
            index,
            { () -> JobOutcome in
                let isMine = self.record?.version == id.version && self.snapshot.hold != nil && self.snapshot.hold == epoch
                guard isMine || self.mutation == .switchBlindly, self.snapshot.owner == old else { return .busy("not held any more") }
                self.publish { snapshot in
                    snapshot.owner = old.other
                    snapshot.hold = nil
                }
                self.switched(from: old)
                return .done
            }, { self.report($0, id, index) }, lost: { self.report(.busy("no answer"), id, index) })
    }

    private func lift(_ old: Side, _ id: EffectID, _ index: Int) {
        call(
            index,
            { () -> (JobOutcome, Int?) in
                guard self.record?.version == id.version else { return (.unavailable("a newer record"), nil) }
                if self.snapshot.owner == old.other { return (.switched, nil) }
                let hold = self.snapshot.hold
                if hold != nil { self.publish { $0.hold = nil } }
                return (.done, hold)
            },
            { outcome, hold in
                guard outcome == .done, let hold else { return self.report(outcome, id, index) }
                // Only the fence of this attempt: a message that comes late must not open the next one's.
                self.onShard(old, id, index) { shard in if shard.fence == hold { shard.fence = 0 } }
            }, lost: { self.report(.unavailable("no answer"), id, index) })
    }
}
