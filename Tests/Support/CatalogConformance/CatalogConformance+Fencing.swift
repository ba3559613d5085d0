internal import CatalogStore
internal import ShardModel

// A commit that names a lease takes effect only while nobody has had the lease since.

extension CatalogConformance {
    private static let long = Duration.seconds(60)

    private func taken(_ store: any CatalogStore, by holder: String, for ttl: Duration = long) async throws -> Lease {
        guard let lease = try await store.acquireLease("leader", holder: holder, ttl: ttl) else {
            throw ConformanceFailure(description: "\(holder) does not get the free lease")
        }
        return lease
    }

    func holderIsSeen() async throws {
        try await withStores(2) { stores in
            for store in stores { try expect(try await store.lease("leader") == nil, "nobody holds it at first") }
            let first = try await taken(stores[0], by: "a")
            for store in stores { try expect(try await store.lease("leader") == first, "its holder is seen, with the token") }
            try expect(try await stores[1].lease("other") == nil, "another lease is free")
            try await stores[1].releaseLease(first)
            for store in stores { try expect(try await store.lease("leader") == nil, "nobody holds it after a release") }
            _ = try await taken(stores[1], by: "b", for: .milliseconds(300))
            try await within("the end of the lease") {
                while try await stores[0].lease("leader") != nil { try await Task.sleep(for: .milliseconds(20)) }
            }
        }
    }

    func staleFenceWritesNothing() async throws {
        try await withStores(2) { stores in
            let first = try await taken(stores[0], by: "a")
            let one = try await stores[0].commit(SampleCatalog.numbering(1), expecting: .zero, fence: first, keeping: nil)
            try await stores[0].releaseLease(first)
            try await fenced(stores[0], first, expecting: one.epoch)
            let second = try await taken(stores[1], by: "b")
            try await fenced(stores[0], first, expecting: one.epoch)
            _ = try await stores[1].commit(SampleCatalog.numbering(2), expecting: one.epoch, fence: second, keeping: nil)
            try await stores[1].releaseLease(second)
            // The same holder again is another leader.
            let third = try await taken(stores[0], by: "a")
            try await fenced(stores[0], first, expecting: Epoch(2))
            try await fenced(stores[1], second, expecting: Epoch(2))
            _ = try await stores[0].commit(SampleCatalog.numbering(3), expecting: Epoch(2), fence: third, keeping: nil)
            // Renewed in time, it is the same lease.
            try expect(try await taken(stores[0], by: "a") == third, "a renewal keeps the token")
            _ = try await stores[0].commit(SampleCatalog.numbering(4), expecting: Epoch(3), fence: third, keeping: nil)
            // Whoever needs no lease goes on beside.
            _ = try await stores[1].commit(SampleCatalog.numbering(5), expecting: Epoch(4))
            for store in stores { try expect(try await store.load().settings == ["n": "5"], "only the five are there") }
        }
    }

    private func fenced(_ store: any CatalogStore, _ lease: Lease, expecting epoch: Epoch) async throws {
        let kept = KeptAnswer(key: "of the fenced", digest: "d", status: 200, body: "{}", time: 1)
        let error = try await failure("a commit under a lease that is gone") { () throws(CatalogError) in
            try await store.commit(SampleCatalog.numbering(99), expecting: epoch, fence: lease, keeping: kept)
        }
        guard case .fenced = error else { throw ConformanceFailure(description: "a commit under a lease that is gone: \(error)") }
        try expect(try await store.load().epoch == epoch, "the epoch stays")
        try expect(try await store.keptAnswer("of the fenced") == nil, "its answer is not kept either")
    }

    func wrongFenceWritesNothing() async throws {
        try await withStore { store in
            let lease = try await taken(store, by: "a")
            var never = lease
            never.name = "never taken"
            try await fenced(store, never, expecting: .zero)
            for token in [lease.fencingToken - 1, lease.fencingToken + 1, .max] {
                try await fenced(store, Lease(name: lease.name, holder: lease.holder, fencingToken: token), expecting: .zero)
            }
            let large = CatalogChange((0..<1000).map { .setSetting(name: "n\($0)", value: "v") }, author: "large")
            var stale = lease
            stale.fencingToken += 1
            let error = try await failure("a large commit under another lease") { [stale] () throws(CatalogError) in
                try await store.commit(large, expecting: .zero, fence: stale, keeping: nil)
            }
            guard case .fenced = error else { throw ConformanceFailure(description: "a large commit under another lease: \(error)") }
            let stored = try await store.commit(large, expecting: .zero, fence: lease, keeping: nil)
            try expect(stored.epoch == Epoch(1) && stored.settings.count == 1000, "a large commit under the lease is stored")
        }
    }

    func historyHasTokens() async throws {
        try await withStore { store in
            let lease = try await taken(store, by: "a")
            _ = try await store.commit(SampleCatalog.numbering(1), expecting: .zero)
            _ = try await store.commit(SampleCatalog.numbering(2), expecting: Epoch(1), fence: lease, keeping: nil)
            let tokens = try await store.history(limit: 10).map(\.fencingToken)
            try expect(tokens == [lease.fencingToken, nil], "the tokens are \([lease.fencingToken, nil]), not \(tokens)")
        }
    }

    /// Leaders that take the lease for moments, each of them committing for longer than it may.
    func leadersAreFenced() async throws {
        let (leaders, commitsMax) = (6, 60)
        try await withStores(3) { stores in
            let fencedCount = try await withThrowingTaskGroup(of: Int.self) { group in
                for leader in 0..<leaders {
                    let store = stores[leader % stores.count]
                    group.addTask { try await Self.lead(store, "leader \(leader)", until: UInt64(commitsMax)) }
                }
                return try await group.reduce(0, +)
            }
            try expect(fencedCount > 0, "some leader tried after its end")
            let tokens = try await stores[0].history(limit: 1000).reversed().compactMap(\.fencingToken)
            try expect(tokens == tokens.sorted() && tokens.count >= commitsMax, "the tokens never go back: \(tokens)")
            try expect(Set(tokens).count > 1, "several leaders have committed")
        }
    }

    /// How often it was fenced.
    private static func lead(_ store: any CatalogStore, _ name: String, until epochMax: UInt64) async throws -> Int {
        var fencedCount = 0
        while try await store.load().epoch.number < epochMax {
            guard let lease = try await store.acquireLease("leader", holder: name, ttl: long) else {
                try await Task.sleep(for: .milliseconds(2))
                continue
            }
            // Somebody releases it in the middle of its work, as an expiry would.
            let end = Task {
                try await Task.sleep(for: .milliseconds(Int.random(in: 1...10)))
                try await store.releaseLease(lease)
            }
            leading: while true {
                try await Task.sleep(for: .milliseconds(1))
                let now = try await store.load()
                if now.epoch.number >= epochMax { break }
                do throws(CatalogError) {
                    _ = try await store.commit(SampleCatalog.numbering(Int(now.epoch.number) + 1), expecting: now.epoch, fence: lease, keeping: nil)
                } catch {
                    switch error {
                    case .conflict: continue
                    case .fenced:
                        fencedCount += 1
                        break leading
                    default: throw error
                    }
                }
            }
            try await end.value
        }
        return fencedCount
    }
}
