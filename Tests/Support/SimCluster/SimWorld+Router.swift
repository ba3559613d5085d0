extension SimWorld {
    private static let heldMax = 40

    /// When the router is not stopped.
    func onRouter(_ index: Int, _ event: @escaping () -> Void) {
        let pause = routers[index].pausedUntil - now
        if pause > 0 { after(pause, { self.onRouter(index, event) }) } else { event() }
    }

    func accept(_ write: Int, on index: Int) {
        guard routers[index].snapshot.hold == nil else {
            if routers[index].held.count < Self.heldMax {
                routers[index].held.append(write)
                countHeld()
            } else {
                answer(write, isDone: false)
            }
            return
        }
        dispatch(write, on: index)
    }

    private func dispatch(_ write: Int, on index: Int) {
        let (side, incarnation, epoch) = (routers[index].snapshot.owner, routers[index].incarnation, routers[index].snapshot.epoch)
        let session = routers[index].sessions[side] ?? makeID()
        routers[index].sessions[side] = session
        routers[index].flights[write] = SimRouter.Flight(side: side, session: session)
        send { self.execute(write, on: side, session: session, epoch: epoch, for: index, incarnation) }
        // The router waits no longer, and gives the connection up. What is on its way may arrive all the same.
        after(60) { self.onRouter(index) { self.end(write, on: index, incarnation, isDone: false) } }
    }

    /// On the shard. `epoch`: what the session named when it was opened, if this is its first statement.
    private func execute(_ write: Int, on side: Side, session: Int, epoch: Int, for index: Int, _ incarnation: Int) {
        var isDone = false
        let place = side.rawValue
        if !shards[place].ended.contains(session), shards[place].sessions.contains(session) || epoch >= shards[place].fence {
            shards[place].sessions.insert(session)
            shards[place].rows.insert(write)
            shards[place].log.append(write)
            isDone = true
            if snapshot.owner != side { fail("the \(side) takes a write, and the \(snapshot.owner) is the owner") }
        }
        send { self.onRouter(index) { self.end(write, on: index, incarnation, isDone: isDone) } }
    }

    private func end(_ write: Int, on index: Int, _ incarnation: Int, isDone: Bool) {
        guard routers[index].incarnation == incarnation, let flight = routers[index].flights.removeValue(forKey: write) else { return }
        if !isDone, routers[index].sessions[flight.side] == flight.session { routers[index].sessions[flight.side] = nil }
        answer(write, isDone: isDone)
        acknowledge(index)
    }

    /// Looks at the catalog.
    func poll(_ index: Int, again: Bool = true) {
        if again { after(20) { self.poll(index) } }
        if fault(10) { return }
        let seen = snapshot
        send { self.onRouter(index) { self.adopt(seen, on: index) } }
    }

    private func adopt(_ seen: SimSnapshot, on index: Int) {
        if seen.epoch > routers[index].snapshot.epoch {
            routers[index].snapshot = seen
            if chance(2) == 0 { routers[index].saved = seen }
            if seen.hold == nil {
                let held = routers[index].held
                routers[index].held = []
                for write in held { dispatch(write, on: index) }
            }
        }
        acknowledge(index)
    }

    /// Nothing is under way, and nothing will be until the hold is over. It names the connections that it will go on with: what was given up with
    /// something on its way is not among them.
    private func acknowledge(_ index: Int) {
        guard let hold = routers[index].snapshot.hold, routers[index].flights.isEmpty || mutation == .acknowledgeTooEarly else { return }
        var ack = SimManager.Ack(incarnation: routers[index].incarnation, sessions: Set(routers[index].sessions.values))
        if mutation == .spareWholeRouter { ack.sessions = Set(0...10_000) }
        for manager in managers.indices { send { self.acknowledged(index, ack, hold, manager) } }
    }
}
