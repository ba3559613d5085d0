internal import CatalogStore
internal import ShardModel

// Times: what must still hold gets a minute, what must expire gets a fraction of a second and is then waited for, so that a busy machine changes nothing.

extension CatalogConformance {
    private static let long = Duration.seconds(60)
    private static let short = Duration.milliseconds(300)

    func leaseChangesHands() async throws {
        try await withStores(2) { stores in
            let first = try await taken(stores[0], "leader", by: "a")
            try expect(first.name == "leader" && first.holder == "a" && first.fencingToken > 0, "the lease names what was asked for")
            try expect(try await stores[1].acquireLease("leader", holder: "b", ttl: Self.long) == nil, "it is taken")
            try expect(try await taken(stores[1], "leader", by: "a") == first, "its holder renews it from anywhere, with the same token")
            let other = try await taken(stores[1], "other", by: "b")
            try expect(other.holder == "b", "leases of other names are free")
            try await stores[0].releaseLease(first)
            let second = try await taken(stores[1], "leader", by: "b")
            try expect(second.fencingToken > first.fencingToken, "the token grows with a new holder")
            try expect(try await stores[0].acquireLease("leader", holder: "a", ttl: Self.long) == nil, "the old holder has lost it")
            try await stores[1].releaseLease(second)
            let third = try await taken(stores[0], "leader", by: "b")
            try expect(third.fencingToken > second.fencingToken, "the token grows also for the same holder, after a release")
        }
        try await withStore { store in
            try expect(try await store.acquireLease("leader", holder: "c", ttl: Self.long) == nil, "a lease outlives the store it was taken with")
        }
    }

    func leaseExpires() async throws {
        try await withStores(2) { stores in
            let first = try await taken(stores[0], "leader", by: "a", for: Self.short)
            let second = try await waited("leader", by: "b", in: stores[1])
            try expect(second.fencingToken > first.fencingToken, "the token grows with the next holder")
            let renewable = try await taken(stores[0], "renewed", by: "a", for: Self.short)
            // On a stalled machine it may have expired just now: then this takes it anew.
            let renewed = try await taken(stores[0], "renewed", by: "a", for: Self.long)
            try expect(renewed.fencingToken >= renewable.fencingToken, "a renewal keeps the token")
            try await Task.sleep(for: Self.short * 2)
            try expect(try await stores[1].acquireLease("renewed", holder: "b", ttl: Self.long) == nil, "a renewed lease lives on")
        }
    }

    func leaseHasOneWinner() async throws {
        try await withStores(4) { stores in
            let winners = try await withThrowingTaskGroup(of: Lease?.self) { group in
                for contender in 0..<24 {
                    group.addTask { try await stores[contender % 4].acquireLease("leader", holder: "c\(contender)", ttl: Self.long) }
                }
                return try await group.reduce(into: [Lease]()) { winners, lease in if let lease { winners.append(lease) } }
            }
            try expect(winners.count == 1, "one of them has it, not \(winners.map(\.holder))")
        }
    }

    func staleReleaseDoesNothing() async throws {
        try await withStore { store in
            let first = try await taken(store, "leader", by: "a")
            try await store.releaseLease(first)
            try await store.releaseLease(first)
            let second = try await taken(store, "leader", by: "a")
            try await store.releaseLease(first)
            try await store.releaseLease(Lease(name: "leader", holder: "b", fencingToken: second.fencingToken))
            try await store.releaseLease(Lease(name: "unknown", holder: "b", fencingToken: 1))
            try expect(try await store.acquireLease("leader", holder: "b", ttl: Self.long) == nil, "the lease is still held")
        }
    }

    func membersComeAndGo() async throws {
        try await withStores(2) { stores in
            try await stores[0].announce(member("b"), ttl: Self.long)
            try await stores[1].announce(member("a"), ttl: Self.long)
            try await stores[1].announce(member("brief"), ttl: Self.short)
            for store in stores { try await waitForMembers(["a", "b"], in: store) }
            var moved = member("a")
            moved.epoch = Epoch(7)
            try await stores[0].announce(moved, ttl: Self.long)
            try expect(try await stores[1].members() == [moved, member("b")], "a renewed announcement replaces the old one; the order is by id")
            try await stores[0].withdraw(memberID: "a")
            try await stores[0].withdraw(memberID: "unknown")
            for store in stores { try expect(try await store.members() == [member("b")], "a member that was withdrawn is gone") }
        }
    }

    func leasesAndMembersKeepTheEpoch() async throws {
        try await withStore { store in
            let before = try await store.load()
            let lease = try await taken(store, "leader", by: "a")
            try await store.announce(member("a"), ttl: Self.long)
            try await store.releaseLease(lease)
            try expect(try await store.load() == before, "the catalog is as it was")
            _ = try await store.commit(SampleCatalog.numbering(1), expecting: before.epoch)
        }
    }

    // MARK: parts

    private func taken(_ store: any CatalogStore, _ name: String, by holder: String, for ttl: Duration = long) async throws -> Lease {
        guard let lease = try await store.acquireLease(name, holder: holder, ttl: ttl) else {
            throw ConformanceFailure(description: "\(holder) does not get the free lease \"\(name)\"")
        }
        return lease
    }

    private func waited(_ name: String, by holder: String, in store: any CatalogStore) async throws -> Lease {
        try await within("the end of the lease \"\(name)\"") {
            while true {
                if let lease = try await store.acquireLease(name, holder: holder, ttl: Self.long) { return lease }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func waitForMembers(_ ids: [String], in store: any CatalogStore) async throws {
        try await within("members \(ids)") {
            while try await store.members().map(\.id) != ids { try await Task.sleep(for: .milliseconds(20)) }
        }
    }

    private func member(_ id: String) -> MemberRecord {
        MemberRecord(
            id: id, kind: "router", url: "http://127.0.0.1:8080", wireAddress: "127.0.0.1:6432", epoch: Epoch(3), startedAt: 1_700_000_000.25,
            version: "0.1")
    }
}
