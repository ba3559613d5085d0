internal import CatalogStore
internal import ShardModel

extension CatalogConformance {
    /// A catalog of another cluster, with all kinds of records, at `epoch`.
    private func elsewhere(_ epoch: UInt64) throws -> CatalogSnapshot {
        var snapshot = try CatalogSnapshot(clusterID: "elsewhere").applying(CatalogChange(SampleCatalog.filling, author: "test"))
        snapshot.epoch = Epoch(epoch)
        return snapshot
    }

    private func past(_ epochs: ClosedRange<UInt64>) -> [CatalogHistoryEntry] {
        epochs.reversed().map { CatalogHistoryEntry(epoch: Epoch($0), time: Double($0) + 0.5, change: SampleCatalog.numbering(Int($0)), over: nil) }
    }

    func replacementOfEmpty() async throws {
        let other = try elsewhere(2000)
        try await withStores(2) { stores in
            try await stores[0].replace(with: other, history: past(900...2100), author: "import", expecting: .zero)
            for store in stores {
                try expect(try await store.load() == other, "it is there as it was")
                let history = try await store.history(limit: 5000)
                try expect(history.map(\.epoch.number) == Array((1001...2000).reversed()), "with the history of a thousand epochs: \(history.count)")
                try expect(history.first?.change == CatalogChange([], author: "import"), "the newest entry says who brought it")
                try expect(history.dropFirst().first == past(1999...1999).first, "the others are as they were")
            }
            _ = try await stores[1].commit(SampleCatalog.numbering(7), expecting: Epoch(2000))
            try expect(try await stores[0].load().epoch == Epoch(2001), "and goes on")
        }
        try await withStore { store in try expect(try await store.load().clusterID == "elsewhere", "also after opening again") }
    }

    func replacementIsSeenEverywhere() async throws {
        try await withStores(2) { stores in
            let change = CatalogChange([.setSetting(name: "old", value: "x"), .putUser(UserRecord(name: "old", verifier: "", roles: []))], author: "test")
            let before = try await stores[0].commit(change, expecting: .zero)
            _ = try await stores[1].load()
            var next = try elsewhere(5)
            next.clusterID = before.clusterID
            let newest = next
            async let watched = first(of: stores[1], above: Epoch(1))
            try await stores[0].replace(with: newest, history: [], author: "restore", expecting: Epoch(1))
            try expect(try await watched == newest, "a watch brings it")
            for store in stores { try expect(try await store.load() == newest, "nothing of the old is left") }
            _ = try await stores[1].commit(SampleCatalog.numbering(1), expecting: Epoch(5))
            try expect(try await stores[0].load().settings["n"] == "1", "changes go on")
        }
    }

    private func first(of store: any CatalogStore, above epoch: Epoch) async throws -> CatalogSnapshot {
        try await within("a watch") {
            for await snapshot in store.watch(after: epoch) { return snapshot }
            throw ConformanceFailure(description: "the watch ended")
        }
    }

    func wrongReplacementWritesNothing() async throws {
        try await withStores(2) { stores in
            let before = try await stores[0].commit(SampleCatalog.numbering(1), expecting: .zero)
            let good = try elsewhere(9)
            var gap = good
            gap.shards[ShardID("shard-1")]?.vnodes.removeLast()
            var unversioned = good
            unversioned.users["ada"]?.version = 0
            for (what, snapshot) in [("a gap", gap), ("a record without a version", unversioned), ("an epoch that does not grow", try elsewhere(1))] {
                let error = try await failure(what) { () throws(CatalogError) in
                    try await stores[1].replace(with: snapshot, history: [], author: "import", expecting: Epoch(1))
                }
                guard case .invalid = error else { throw ConformanceFailure(description: "\(what): not invalid: \(error)") }
            }
            let error = try await failure("a stale epoch") { () throws(CatalogError) in
                try await stores[1].replace(with: good, history: [], author: "import", expecting: .zero)
            }
            guard case .conflict(current: Epoch(1), _) = error else { throw ConformanceFailure(description: "not a conflict: \(error)") }
            for store in stores { try expect(try await store.load() == before, "nothing was written") }
        }
    }

    func movedCatalogIsClosed() async throws {
        try await withStore { store in
            let name = CatalogSnapshot.movedSetting
            let moving = CatalogChange([.setSetting(name: name, value: "elsewhere")], author: "test")
            _ = try await store.commit(moving, expecting: .zero)
            for change in [SampleCatalog.numbering(1), moving] {
                let error = try await failure("a change") { () throws(CatalogError) in try await store.commit(change, expecting: Epoch(1)) }
                guard case .unavailable(let text) = error, text.contains("elsewhere") else { throw ConformanceFailure(description: "\(error)") }
            }
            _ = try await store.commit(CatalogChange([.setSetting(name: name, value: nil)], author: "test"), expecting: Epoch(1))
            _ = try await store.commit(SampleCatalog.numbering(1), expecting: Epoch(2))
        }
    }
}
