internal import CatalogStore
internal import ShardModel

/// What the event loops have said of their sessions, of the newest epoch.
struct SessionReports {
    private var epoch = Epoch.zero
    private var parts: [Int: SessionReport] = [:]
    /// Of all loops; nil: some have not said anything yet, of any epoch.
    private(set) var complete: SessionReport?

    /// Returns whether all loops have reported of the epoch now.
    mutating func add(_ report: SessionReport, loop: Int, of loops: Int) -> Bool {
        if report.epoch > epoch { (epoch, parts) = (report.epoch, [:]) }
        guard report.epoch == epoch else { return false }
        parts[loop] = report
        guard parts.count == loops else { return false }
        let sessions = parts.values.reduce(into: [ShardID: [Int32]]()) { $0.merge($1.sessions, uniquingKeysWith: +) }
        complete = SessionReport(epoch: epoch, sessions: sessions.mapValues { $0.sorted() })
        return true
    }
}

extension ControlPlane {
    /// A job's manager waits for it.
    func counted(_ report: SessionReport, loop: Int) {
        if noteSessions(report, loop: loop) { announcementBell.ring() }
    }
}
