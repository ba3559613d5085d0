internal import CatalogStore
internal import ShardModel

extension CatalogConformance {
    /// The course of a cutover: a job, its hold, and the owners' change, which must take the hold away with it.
    func holdsAreKept() async throws {
        try await withStores(2) { stores in
            let (one, two) = (stores[0], stores[1])
            let before = try await one.commit(CatalogChange(SampleCatalog.filling, author: "test"), expecting: .zero)
            guard var source = before.shards[ShardID("shard-0")], var target = before.shards[ShardID("shard-1")] else {
                throw ConformanceFailure(description: "the sample has no shards")
            }
            let moved = source.vnodes[1]
            var job = ReshardJobRecord(
                id: "job 'ä\"", database: "app", shards: [source.id, target.id], body: "{\"step\": \"é\"}", createdAt: 1.5, updatedAt: 2.25)
            let hold = HoldRecord(job: job.id, database: "app", ranges: [moved.range], owners: [source.id], attempt: 7, epoch: Epoch(2))
            let held = try await one.commit(CatalogChange([.putJob(job), .putHold(hold)], author: "test"), expecting: Epoch(1))
            try expect(held.jobs[job.id]?.version == 1 && held.holds[job.id]?.attempt == 7, "both are there")
            try expect(try await two.load() == held, "another store has them")

            source.vnodes.removeAll { $0.id == moved.id }
            target.vnodes.append(moved)
            let ring: [CatalogChange.Operation] = [.putShard(source), .putShard(target)]
            var wrong: [(String, [CatalogChange.Operation])] = [("held tokens change their owner", ring)]
            wrong.append(("a job that is not over loses its shard", [.deleteShard(id: target.id, version: 1)]))
            wrong.append(("a hold outlives its job", [.deleteJob(id: job.id, version: 1)]))
            for (what, operations) in wrong {
                let error = try await failure(what) { () throws(CatalogError) in
                    try await two.commit(CatalogChange(operations, author: "test"), expecting: Epoch(2))
                }
                guard case .invalid = error else { throw ConformanceFailure(description: "\(what): not invalid: \(error)") }
            }
            let stale = try await failure("the hold of another attempt is ended") { () throws(CatalogError) in
                try await two.commit(CatalogChange(ring + [.deleteHold(job: job.id, version: 2)], author: "test"), expecting: Epoch(2))
            }
            guard case .conflict(current: Epoch(2), _) = stale else { throw ConformanceFailure(description: "not a conflict: \(stale)") }
            try expect(try await one.load() == held, "nothing was written")

            job.version = 1
            job.body = "{}"
            let switched = try await two.commit(
                CatalogChange([.deleteHold(job: job.id, version: 1), .putJob(job)] + ring, author: "test"), expecting: Epoch(2))
            try expect(switched.holds.isEmpty && switched.jobs[job.id]?.version == 2, "the switch takes the hold away")
            try expect(try await one.load() == switched, "the first store sees the new owners")
            let gone = try await one.commit(CatalogChange([.deleteJob(id: job.id, version: 2)], author: "test"), expecting: Epoch(3))
            try expect(gone.jobs.isEmpty, "the job is gone")
            try expect(try await two.load() == gone, "everywhere")
        }
        try await withStore { store in
            let now = try await store.load()
            try expect(now.epoch == Epoch(4) && now.jobs.isEmpty && now.holds.isEmpty, "and after opening again")
        }
    }
}
