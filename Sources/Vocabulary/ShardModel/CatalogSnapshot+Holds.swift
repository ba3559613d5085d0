// The invariants of jobs and holds.

extension CatalogSnapshot {
    /// - affected: databases whose shards may have changed.
    func checkJobs(_ touch: CatalogTouch, affected: Set<String>) throws(CatalogChangeError) {
        if jobs.isEmpty && holds.isEmpty { return }
        for job in jobs.values.sorted(by: { $0.id < $1.id }) where !job.isOver && (touch.jobs.contains(job.id) || affected.contains(job.database)) {
            guard databases[job.database] != nil else { throw .unknownDatabase(job.database, record: Self.label(job: job.id)) }
            for id in job.shards where shards[id]?.database != job.database {
                throw .missingShard(id, database: job.database, of: Self.label(job: job.id))
            }
        }
        for hold in holds.values.sorted(by: { $0.job < $1.job }) {
            guard touch.holds.contains(hold.job) || touch.jobs.contains(hold.job) || affected.contains(hold.database) else { continue }
            try check(hold)
        }
    }

    private func check(_ hold: HoldRecord) throws(CatalogChangeError) {
        guard let job = jobs[hold.job], !job.isOver, job.database == hold.database else {
            throw .wrongHold(job: hold.job, "there is no such job of its database that is not over")
        }
        guard !hold.ranges.isEmpty, zip(hold.ranges, hold.ranges.dropFirst()).allSatisfy({ $0.end < $1.start }) else {
            throw .wrongHold(job: hold.job, "its ranges are none, unsorted or overlap")
        }
        var owned: [TokenRange] = []
        for id in hold.owners {
            guard let owner = shards[id], owner.database == hold.database else {
                throw .missingShard(id, database: hold.database, of: Self.label(hold: hold.job))
            }
            owned += owner.vnodes.map(\.range)
        }
        owned.sort { $0.start < $1.start }
        for range in hold.ranges where !Self.covers(owned, range) {
            throw .wrongHold(job: hold.job, "its owners do not own all of its tokens: the owner of held tokens can only change when the hold goes")
        }
        for other in holds.values where other.job != hold.job && other.database == hold.database {
            for range in hold.ranges where other.ranges.contains(where: { $0.start <= range.end && range.start <= $0.end }) {
                throw .wrongHold(job: hold.job, "job \"\(other.job)\" holds some of its tokens")
            }
        }
    }

    /// - owned: sorted, without overlap.
    private static func covers(_ owned: [TokenRange], _ range: TokenRange) -> Bool {
        var low = TokenRanges(owned).firstPosition(endingFrom: range.start)
        var next = range.start
        while low < owned.count, owned[low].start <= next {
            if owned[low].end >= range.end { return true }
            next = owned[low].end + 1
            low += 1
        }
        return false
    }
}
