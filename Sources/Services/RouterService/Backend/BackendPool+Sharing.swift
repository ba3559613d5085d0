internal import PoolCore

/// Connections that quick reads share (docs/decisions/0031-shared-connections.md).
extension BackendPool {
    func lineBegan(_ backend: Backend) { lines.append(backend) }

    func lineEnded(_ backend: Backend) {
        guard let index = lines.firstIndex(where: { $0 === backend }) else { return }
        lines.swapAt(index, lines.count - 1)
        lines.removeLast()
    }

    func riderJoined() {
        sharedReads &+= 1
        crowd = Self.crowdMemory
    }

    /// A busy backend whose session has these settings, and that will soon come to one more statement; nil: there is none.
    ///
    /// - statement: it knows this one.
    func line(for settings: SettingsRef, _ statement: StatementSlot? = nil) -> Backend? {
        var best: Backend?
        var shortest = UInt64.max
        for backend in lines {
            guard let line = backend.line, line.expectedWait < shortest, line.hasRoom(waitMax: core.shareWait), backend.settings === settings,
                backend.cancelsUnderWay == 0, !backend.mayBeCancelled, statement.map(backend.prepared.isConfirmed) ?? true
            else { continue }
            (best, shortest) = (backend, line.expectedWait)
        }
        guard let best, core.mayBeShared(best.id, joined: best.line?.joined ?? 0, now: loop.lately) else { return nil }
        return best
    }

    /// Whether several are at work here, so that it is worth while to wait for the end of the loop's tick: one write then takes what all of them
    /// send. Of late, as the first of several cannot know that it is not the only one.
    func expectsCompany() -> Bool {
        guard crowd > 0 else { return false }
        crowd -= 1
        return true
    }

    private static let crowdMemory = 64
}
