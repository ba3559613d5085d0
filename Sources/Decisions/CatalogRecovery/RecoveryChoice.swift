package import ShardModel

/// The catalog that a recovery would write, and what speaks against it. Pure: what was read goes in.
package struct RecoveryChoice: Hashable, Sendable {
    /// The newest copy; nil: there is none.
    package var snapshot: CatalogSnapshot?
    /// Where it was found.
    package var place = ""
    /// Whether users are in it.
    package var isWhole = false
    /// The highest epoch that any of the sources names: of copies, readable or not, and of fences.
    package var seenMax = Epoch.zero
    package var problems: [RecoveryProblem] = []
    /// Not in the way.
    package var notes: [String] = []

    /// Sources in any order.
    package init(of sources: [RecoverySource]) {
        seenMax = sources.map(\.epochMax).max() ?? .zero
        checkClusters(sources)
        takeNewest(sources)
        guard let snapshot else {
            problems.append(.noCopy(reasons: sources.compactMap(\.unreadable)))
            return
        }
        dropJobs()
        checkUnreadable(sources, newest: snapshot.epoch)
        checkMarks(sources, snapshot)
        for name in Set(snapshot.shards.values.map(\.database)).sorted() {
            do {
                _ = try Topology(database: name, in: snapshot)
            } catch {
                problems.append(.ring(database: name, "\(error)"))
            }
        }
    }

    /// The copy may be older than what the jobs have done since: nobody can go on with them by it.
    private mutating func dropJobs() {
        for job in (snapshot?.jobs.values.filter { !$0.isOver } ?? []).sorted(by: { $0.id < $1.id }) {
            snapshot?.jobs[job.id] = nil
            let shards = job.shards.map(\.name).joined(separator: ", ")
            notes.append("job \(job.id) was not over and is left out: its slots, publications and rows may be left on the shards \(shards)")
        }
        snapshot?.holds = [:]
    }

    private mutating func checkClusters(_ sources: [RecoverySource]) {
        guard let first = sources.first(where: { $0.clusterIDs.first != nil }), let cluster = first.clusterIDs.first else { return }
        for source in sources {
            guard let other = source.clusterIDs.first(where: { $0 != cluster }) else { continue }
            return problems.append(.clusters(cluster, at: first.place, other: other, otherAt: source.place))
        }
    }

    private mutating func takeNewest(_ sources: [RecoverySource]) {
        for source in sources {
            guard case .readable(let candidate, let whole) = source.copy else { continue }
            guard let chosen = snapshot, candidate.epoch <= chosen.epoch else {
                (snapshot, place, isWhole) = (candidate, source.place, whole)
                continue
            }
            guard candidate.epoch == chosen.epoch else { continue }
            let areEqual = whole && isWhole ? candidate == chosen : candidate.withoutUsers == chosen.withoutUsers
            if !areEqual { problems.append(.contradicting(candidate.epoch, place, source.place)) }
            // Of two that agree, the one that has the users.
            if whole, !isWhole { (snapshot, place, isWhole) = (candidate, source.place, true) }
        }
        // A contradiction behind the newest does not matter: the newest replaced both.
        problems.removeAll { problem in if case .contradicting(let epoch, _, _) = problem { epoch != snapshot?.epoch } else { false } }
    }

    private mutating func checkUnreadable(_ sources: [RecoverySource], newest: Epoch) {
        for source in sources {
            switch source.copy {
            case .none where source.mark != nil: notes.append("\(source.place) has no copy")
            case .unreadable(let epoch, let reason) where epoch > newest:
                problems.append(.newerUnreadable(epoch, at: source.place, reason: reason, newest: newest))
            case .unreadable(_, let reason): notes.append("the copy of \(source.place) cannot be read (\(reason)); it is not needed")
            case .readable(let other, _) where other.epoch < newest: notes.append("the copy of \(source.place) is of epoch \(other.epoch)")
            default: break
            }
        }
    }

    private mutating func checkMarks(_ sources: [RecoverySource], _ snapshot: CatalogSnapshot) {
        var places: [ShardID: String] = [:]
        for source in sources {
            guard let mark = source.mark, mark.clusterID == snapshot.clusterID else { continue }
            if let other = places.updateValue(source.place, forKey: mark.shard) { problems.append(.twice(mark.shard, other, source.place)) }
            guard let record = snapshot.shards[mark.shard] else {
                problems.append(.unknownShard(mark.shard, at: source.place))
                continue
            }
            if record.database != mark.database {
                problems.append(.otherDatabase(mark.shard, at: source.place, says: mark.database, catalog: record.database))
            }
        }
    }

    /// Those of the chosen catalog that no source is.
    package func unseen(by sources: [RecoverySource]) -> [ShardRecord] {
        let seen = Set(sources.compactMap { $0.mark?.shard })
        return (snapshot?.shards.values.filter { !seen.contains($0.id) } ?? []).sorted { $0.id < $1.id }
    }
}

extension RecoverySource {
    fileprivate var clusterIDs: [String] {
        var ids = mark.map { [$0.clusterID] } ?? []
        if case .readable(let snapshot, _) = copy { ids.append(snapshot.clusterID) }
        return ids
    }

    fileprivate var unreadable: String? {
        switch copy {
        case .none: "\(place) has none"
        case .unreadable(let epoch, let reason): "that of \(place), of epoch \(epoch): \(reason)"
        case .readable: nil
        }
    }

    fileprivate var epochMax: Epoch {
        let fence = mark?.fence ?? .zero
        return switch copy {
        case .none: fence
        case .unreadable(let epoch, _): max(epoch, fence)
        case .readable(let snapshot, _): max(snapshot.epoch, fence)
        }
    }
}

extension CatalogSnapshot {
    /// As it is copied where there is no key to seal it with.
    package var withoutUsers: CatalogSnapshot {
        var bare = self
        bare.users = [:]
        return bare
    }
}
