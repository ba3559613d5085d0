internal import CatalogStore
internal import ShardModel

extension CatalogConformance {
    func startsEmpty() async throws {
        try await withStores(2) { stores in
            let (one, two) = (try await stores[0].load(), try await stores[1].load())
            try expect(one.epoch == .zero, "the first epoch is 0, not \(one.epoch)")
            try expect(one == CatalogSnapshot(clusterID: one.clusterID), "nothing is in it")
            try expect(!one.clusterID.isEmpty && one.clusterID == two.clusterID, "both stores are of one cluster")
        }
    }

    func commitIsSeenEverywhere() async throws {
        let change = CatalogChange(SampleCatalog.filling, author: "test")
        var written: CatalogSnapshot?
        try await withStores(2) { stores in
            let empty = try await stores[1].load()
            let expected = try empty.applying(change)
            written = try await stores[0].commit(change, expecting: .zero)
            try expect(written == expected, "the commit's snapshot is the change applied")
            try expect(try await stores[0].load() == expected, "its own store loads it")
            try expect(try await stores[1].load() == expected, "another store loads it")
            try expect(expected.epoch == Epoch(1) && expected.shards[ShardID("shard-1")]?.version == 1, "numbers start at 1")
        }
        try await withStore { store in
            try expect(try await store.load() == written, "it is there after opening again")
            _ = try await store.commit(SampleCatalog.numbering(1), expecting: Epoch(1))
        }
        try await withStore { store in
            let next = try await store.load()
            try expect(next.epoch == Epoch(2) && next.settings["n"] == "1" && next.shards == written?.shards, "so is the next change")
        }
    }

    func staleEpochWritesNothing() async throws {
        try await withStores(2) { stores in
            _ = try await stores[0].commit(SampleCatalog.numbering(1), expecting: .zero)
            for stale in [Epoch(0), Epoch(2), Epoch(UInt64.max)] {
                let error = try await failure("a commit expecting epoch \(stale)") { () throws(CatalogError) in
                    try await stores[1].commit(SampleCatalog.numbering(2), expecting: stale)
                }
                guard case .conflict(current: Epoch(1), _) = error else { throw ConformanceFailure(description: "not a conflict at 1: \(error)") }
            }
            let now = try await stores[0].load()
            try expect(now.epoch == Epoch(1) && now.settings["n"] == "1", "nothing was written")
        }
    }

    func staleVersionWritesNothing() async throws {
        try await withStore { store in
            var user = UserRecord(name: "ada", verifier: "v", roles: ["viewer"])
            _ = try await store.commit(CatalogChange([.putUser(user)], author: "test"), expecting: .zero)
            user.version = 1
            _ = try await store.commit(CatalogChange([.putUser(user)], author: "test"), expecting: Epoch(1))
            let before = try await store.load()
            try expect(before.users["ada"]?.version == 2, "the version grows by one")
            var newer = user
            newer.version = 3
            var other = UserRecord(name: "bob", verifier: "v", roles: [], version: 1)
            let stale: [CatalogChange.Operation] = [
                .putUser(UserRecord(name: "ada", verifier: "v", roles: [])), .putUser(user), .putUser(newer), .putUser(other),
                .deleteUser(name: "ada", version: 1), .deleteUser(name: "bob", version: 0), .deleteUser(name: "bob", version: 1),
            ]
            for operation in stale {
                let error = try await failure("\(operation)") { () throws(CatalogError) in
                    try await store.commit(CatalogChange([operation], author: "test"), expecting: Epoch(2))
                }
                guard case .conflict(current: Epoch(2), _) = error else { throw ConformanceFailure(description: "\(operation): not a conflict: \(error)") }
            }
            try expect(try await store.load() == before, "nothing was written")
            other.version = 0
            _ = try await store.commit(CatalogChange([.putUser(other)], author: "test"), expecting: Epoch(2))
        }
    }

    func changeIsAllOrNothing() async throws {
        try await withStores(2) { stores in
            let change = CatalogChange(SampleCatalog.filling + [.deleteUser(name: "nobody", version: 1)], author: "test")
            _ = try await failure("a change whose last operation is stale") { () throws(CatalogError) in
                try await stores[0].commit(change, expecting: .zero)
            }
            for store in stores {
                let now = try await store.load()
                try expect(now == CatalogSnapshot(clusterID: now.clusterID), "nothing of it was written")
            }
        }
    }

    func brokenInvariantWritesNothing() async throws {
        try await withStores(2) { stores in
            let before = try await stores[0].commit(CatalogChange(SampleCatalog.filling, author: "test"), expecting: .zero)
            guard var shard = before.shards[ShardID("shard-1")], var database = before.databases["app"] else { return }
            let vnodes = shard.vnodes
            var wrong: [(String, CatalogChange.Operation)] = []
            shard.vnodes = Array(vnodes.dropLast())
            wrong.append(("a gap", .putShard(shard)))
            shard.vnodes = vnodes + SampleCatalog.ring(12, firstID: 100).prefix(1)
            wrong.append(("an overlap", .putShard(shard)))
            shard.vnodes = vnodes
            shard.vnodes[0].id = 1
            wrong.append(("a repeated vnode id", .putShard(shard)))
            wrong.append(("a shard's deletion that leaves a gap", .deleteShard(id: shard.id, version: 1)))
            wrong.append(("a shard of no database", .putShard(SampleCatalog.shard("x", [], database: "none"))))
            wrong.append(("a table of no database", .putTable(TableRecord(database: "none", name: SampleCatalog.name("t"), placement: .local))))
            database.homeShard = ShardID("none")
            wrong.append(("a home shard that does not exist", .putDatabase(database)))
            wrong.append(("the deletion of a database in use", .deleteDatabase(name: "app", version: 1)))
            for (what, operation) in wrong {
                let error = try await failure(what) { () throws(CatalogError) in
                    try await stores[1].commit(CatalogChange([.setSetting(name: "n", value: "1"), operation], author: "test"), expecting: Epoch(1))
                }
                guard case .invalid = error else { throw ConformanceFailure(description: "\(what): not invalid: \(error)") }
            }
            for store in stores { try expect(try await store.load() == before, "nothing was written") }
        }
    }

    func deletionIsSeenEverywhere() async throws {
        try await withStores(2) { stores in
            let full = try await stores[0].commit(CatalogChange(SampleCatalog.filling, author: "test"), expecting: .zero)
            _ = try await stores[1].load()
            let deletions: [CatalogChange.Operation] =
                full.tables.keys.map { .deleteTable(database: $0.database, name: $0.table, version: 1) }
                + full.shards.keys.map { .deleteShard(id: $0, version: 1) }
                + [.deleteDatabase(name: "app", version: 1), .deleteUser(name: "ada", version: 1), .setSetting(name: "greeting", value: nil)]
                + [.setSetting(name: "n", value: "2")]
            _ = try await stores[0].commit(CatalogChange(deletions, author: "test"), expecting: Epoch(1))
            for store in stores {
                let now = try await store.load()
                try expect(now == CatalogSnapshot(epoch: Epoch(2), clusterID: full.clusterID, settings: ["n": "2"]), "only the setting is left")
            }
        }
        try await withStore { store in try expect(try await store.load().settings == ["n": "2"], "also after opening again") }
    }

    func fiftyWritersLoseNothing() async throws {
        let (writers, rounds) = (50, WriterRounds.of(2))
        try await withStores(5) { stores in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    let store = stores[writer % stores.count]
                    group.addTask { for _ in 0..<rounds { try await Self.increment(store, writer) } }
                }
                try await group.waitForAll()
            }
            for store in stores {
                let end = try await store.load()
                let total = writers * rounds
                try expect(end.settings["count"] == String(total), "the count is \(total), not \(end.settings["count"] ?? "none")")
                try expect(end.epoch == Epoch(UInt64(total)), "each update made one epoch: \(end.epoch)")
                try expect(end.users["count"]?.version == UInt64(total), "each update made one version")
                for writer in 0..<writers {
                    try expect(end.settings["writer \(writer)"] == String(rounds), "writer \(writer)'s updates are all there")
                }
            }
        }
    }

    private static func increment(_ store: any CatalogStore, _ writer: Int) async throws {
        while true {
            let now = try await store.load()
            let own = "writer \(writer)"
            func next(_ name: String) -> String { String((now.settings[name].flatMap { Int($0) } ?? 0) + 1) }
            var user = now.users["count"] ?? UserRecord(name: "count", verifier: "", roles: [])
            user.verifier = own
            let change = CatalogChange(
                [.setSetting(name: "count", value: next("count")), .setSetting(name: own, value: next(own)), .putUser(user)], author: own)
            do throws(CatalogError) {
                _ = try await store.commit(change, expecting: now.epoch)
                return
            } catch {
                guard case .conflict = error else { throw error }
            }
        }
    }

    func historyIsNewestFirst() async throws {
        try await withStores(2) { stores in
            for number in 1...5 { _ = try await stores[0].commit(SampleCatalog.numbering(number), expecting: Epoch(UInt64(number - 1))) }
            let newest = try await stores[1].history(limit: 3)
            try expect(newest.map(\.epoch) == [Epoch(5), Epoch(4), Epoch(3)], "the three newest come, newest first: \(newest.map(\.epoch))")
            try expect(newest.map(\.change) == [5, 4, 3].map(SampleCatalog.numbering), "with their changes and authors")
            try expect(newest.allSatisfy { $0.time > 1_600_000_000 }, "and times")
            try expect(try await stores[1].history(limit: 100).count == 5, "all come when asked for")
            try expect(try await stores[1].history(limit: 0).isEmpty, "none come when none is asked for")
        }
    }
}
