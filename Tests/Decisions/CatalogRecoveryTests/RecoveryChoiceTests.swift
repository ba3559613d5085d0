import CatalogRecovery
import ShardModel
import Testing

@Suite struct RecoveryChoiceTests {
    /// Two shards with a table that is split by "k".
    private static func catalog(_ epoch: UInt64, cluster: String = "c", tables: [String] = ["kv"]) -> CatalogSnapshot {
        var catalog = CatalogSnapshot(epoch: Epoch(epoch), clusterID: cluster)
        catalog.databases["shop"] = DatabaseRecord(name: "shop", homeShard: ShardID("s1"), version: 1)
        for (index, vnodes) in RingCut.even(over: 2, vnodesEach: 4, after: 0).enumerated() {
            let id = ShardID("s\(index + 1)")
            catalog.shards[id] = ShardRecord(id: id, name: id.name, database: "shop", primaryEndpoint: "postgres://a@\(id)/d", vnodes: vnodes, version: 1)
        }
        for table in tables {
            let name = QualifiedName(schema: "public", name: table)
            catalog.tables[.init(database: "shop", table: name)] = TableRecord(database: "shop", name: name, placement: .sharded(key: "k"), version: 1)
        }
        catalog.users["ada"] = UserRecord(name: "ada", verifier: "v", roles: ["admin"], version: 1)
        return catalog
    }

    private static func shard(
        _ id: String, _ copy: RecoverySource.Copy, fence: UInt64 = 0, cluster: String = "c", database: String = "shop", place: String? = nil
    ) -> RecoverySource {
        RecoverySource(
            place: place ?? "host-\(id)", mark: ShardMark(clusterID: cluster, database: database, shard: ShardID(id), fence: Epoch(fence)), copy: copy)
    }

    private static func whole(_ epoch: UInt64) -> RecoverySource.Copy { .readable(catalog(epoch), isWhole: true) }
    private static func bare(_ epoch: UInt64) -> RecoverySource.Copy { .readable(catalog(epoch).withoutUsers, isWhole: false) }

    @Test func theNewestCopyIsTakenAndEveryEpochCounts() {
        let sources = [Self.shard("s1", Self.whole(7), fence: 12), Self.shard("s2", Self.whole(9))]
        for order in [sources, sources.reversed()] {
            let choice = RecoveryChoice(of: order)
            #expect(choice.snapshot == Self.catalog(9) && choice.isWhole && choice.place == "host-s2" && choice.seenMax == Epoch(12))
            #expect(choice.problems.isEmpty && choice.notes == ["the copy of host-s1 is of epoch 7"])
        }
    }

    @Test func jobsThatWereNotOverAreLeftOut() {
        var copy = Self.catalog(9)
        copy.jobs["old"] = ReshardJobRecord(id: "old", database: "shop", shards: [ShardID("s1")], isOver: true, body: "{}", version: 9)
        copy.jobs["j"] = ReshardJobRecord(id: "j", database: "shop", shards: [ShardID("s1"), ShardID("s2")], body: "{}", version: 3)
        copy.holds["j"] = HoldRecord(job: "j", database: "shop", ranges: [.whole], owners: [ShardID("s1"), ShardID("s2")], attempt: 3, epoch: Epoch(9))
        let choice = RecoveryChoice(of: [Self.shard("s1", .readable(copy, isWhole: true)), Self.shard("s2", .readable(copy, isWhole: true))])
        #expect(choice.snapshot?.jobs.keys.sorted() == ["old"] && choice.snapshot?.holds.isEmpty == true && choice.problems.isEmpty)
        #expect(choice.notes == ["job j was not over and is left out: its slots, publications and rows may be left on the shards s1, s2"])
    }

    @Test func ofTwoThatAgreeTheOneWithUsersIsTaken() {
        let sources = [Self.shard("s1", Self.bare(9)), RecoverySource(place: "file", mark: nil, copy: Self.whole(9)), Self.shard("s2", Self.bare(9))]
        for order in [sources, sources.reversed()] {
            let choice = RecoveryChoice(of: order)
            #expect(choice.isWhole && choice.snapshot?.users.count == 1 && choice.problems.isEmpty)
        }
        // Users of an older state are not put into a newer one: a right that was taken away would be back.
        let older = RecoveryChoice(of: [Self.shard("s1", Self.bare(9)), RecoverySource(place: "file", mark: nil, copy: Self.whole(8))])
        #expect(!older.isWhole && older.snapshot?.users.isEmpty == true)
    }

    @Test func whatContradictsItselfIsNotTaken() {
        let other = CatalogSnapshot(epoch: Epoch(9), clusterID: "c")
        let two = RecoveryChoice(of: [Self.shard("s1", Self.whole(9)), Self.shard("s2", .readable(other, isWhole: true))])
        #expect(two.problems.contains { if case .contradicting(Epoch(9), _, _) = $0 { $0.allowance == nil } else { false } })
        // Behind a newer one it does not matter.
        let three = RecoveryChoice(
            of: [
                RecoverySource(place: "a", mark: nil, copy: Self.whole(9)), RecoverySource(place: "b", mark: nil, copy: .readable(other, isWhole: true)),
                Self.shard("s1", Self.whole(10)),
            ])
        #expect(three.problems.isEmpty)
    }

    @Test func twoClustersAreNeverPutTogether() {
        let marks = RecoveryChoice(of: [Self.shard("s1", Self.whole(9)), Self.shard("s2", .none, cluster: "d")])
        #expect(marks.problems == [.clusters("c", at: "host-s1", other: "d", otherAt: "host-s2")] && marks.problems[0].allowance == nil)
        // A copy that somebody has carried over.
        let copies = RecoveryChoice(of: [Self.shard("s1", .readable(Self.catalog(99, cluster: "d"), isWhole: true))])
        #expect(copies.problems.contains { if case .clusters = $0 { true } else { false } })
    }

    @Test func aNewerCopyThatCannotBeReadIsNotPassedOver() {
        let damaged = Self.shard("s2", .unreadable(epoch: Epoch(10), reason: "it is damaged"))
        let choice = RecoveryChoice(of: [Self.shard("s1", Self.whole(9)), damaged])
        #expect(choice.problems == [.newerUnreadable(Epoch(10), at: "host-s2", reason: "it is damaged", newest: Epoch(9))])
        #expect(choice.problems[0].allowance == .older && choice.seenMax == Epoch(10))
        let needless = RecoveryChoice(of: [Self.shard("s1", Self.whole(10)), damaged])
        #expect(needless.problems.isEmpty && needless.notes.count == 1)
        #expect(RecoveryChoice(of: [damaged]).problems == [.noCopy(reasons: ["that of host-s2, of epoch 10: it is damaged"])])
        #expect(RecoveryChoice(of: []).problems == [.noCopy(reasons: [])])
    }

    @Test func everyShardIsWhoTheCopySaysItIs() {
        let strange = RecoveryChoice(of: [Self.shard("s1", Self.whole(9)), Self.shard("s3", Self.whole(9))])
        #expect(strange.problems == [.unknownShard(ShardID("s3"), at: "host-s3")] && strange.problems[0].allowance == nil)
        let twice = RecoveryChoice(of: [Self.shard("s1", Self.whole(9)), Self.shard("s1", Self.whole(9), place: "clone")])
        #expect(twice.problems == [.twice(ShardID("s1"), "host-s1", "clone")])
        let moved = RecoveryChoice(of: [Self.shard("s1", Self.whole(9), database: "other")])
        #expect(moved.problems == [.otherDatabase(ShardID("s1"), at: "host-s1", says: "other", catalog: "shop")])
        let one = [Self.shard("s1", Self.whole(9))]
        #expect(RecoveryChoice(of: one).unseen(by: one).map(\.id) == [ShardID("s2")])
    }

    @Test func aRingWithAGapIsNotWritten() {
        var catalog = Self.catalog(9)
        catalog.shards[ShardID("s1")]?.vnodes.removeFirst()
        let choice = RecoveryChoice(of: [Self.shard("s1", .readable(catalog, isWhole: true))])
        #expect(choice.problems.contains { if case .ring("shop", _) = $0 { $0.allowance == nil } else { false } })
    }

    // MARK: what is on the shards

    private let kv = QualifiedName(schema: "public", name: "kv")

    private func problems(_ first: ShardEvidence, _ second: ShardEvidence, _ catalog: CatalogSnapshot = Self.catalog(9)) -> [RecoveryProblem] {
        ShardEvidence.problems(of: catalog, [ShardID("s1"): first, ShardID("s2"): second])
    }

    @Test func tablesMustBeWhereTheCopySays() {
        let good = ShardEvidence(tables: [kv: ["k", "v"]], samples: [:])
        #expect(problems(good, good).isEmpty)
        #expect(problems(good, ShardEvidence(tables: [:], samples: [:])) == [.tableMissing(kv, on: ShardID("s2"))])
        #expect(problems(good, ShardEvidence(tables: [kv: ["v"]], samples: [:])) == [.keyMissing(kv, key: "k", on: ShardID("s2"))])
        // Declared and nowhere made yet.
        #expect(problems(ShardEvidence(tables: [:], samples: [:]), ShardEvidence(tables: [:], samples: [:])).isEmpty)
        let late = QualifiedName(schema: "public", name: "late")
        let more = ShardEvidence(tables: [kv: ["k"], late: ["k"]], samples: [:])
        #expect(problems(more, good) == [.unknownTable(late, on: ShardID("s1"))])
        var open = Self.catalog(9)
        open.databases["shop"]?.defaultPlacement = .local
        #expect(problems(more, good, open).isEmpty)
        #expect(problems(good, more, open) == [.unknownTable(late, on: ShardID("s2"))])
    }

    @Test func rowsMustBeOnTheShardsThatTheRingGivesThemTo() throws {
        let topology = try Topology(database: "shop", in: Self.catalog(9))
        let tokens = (0..<64).map { Token(UInt64($0) << 58) }
        let own = tokens.filter { topology.ring.owner(of: $0).value == 0 }
        let others = tokens.filter { topology.ring.owner(of: $0).value == 1 }
        try #require(!own.isEmpty && !others.isEmpty)
        let (first, second) = (ShardEvidence(tables: [kv: ["k"]], samples: [kv: own]), ShardEvidence(tables: [kv: ["k"]], samples: [kv: others]))
        #expect(problems(first, second).isEmpty)
        let mixed = ShardEvidence(tables: [kv: ["k"]], samples: [kv: own + others.prefix(1)])
        let found = problems(mixed, second)
        #expect(found == [.rowsElsewhere(kv, on: ShardID("s1"), owner: ShardID("s2"), count: 1, of: own.count + 1)] && found[0].allowance == nil)
    }
}
