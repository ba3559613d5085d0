import ShardModel
import Testing

@Suite struct CatalogApplyTests {
    private func ring(_ count: Int, firstID: UInt32 = 1) -> [VNode] {
        let width = UInt64.max / UInt64(count)
        return (0..<count).map { index in
            let start = UInt64(index) * width
            return VNode(id: firstID + UInt32(index), range: TokenRange(start...(index == count - 1 ? .max : start + width - 1)))
        }
    }

    private func shard(_ id: String, _ vnodes: [VNode], in database: String = "app", version: UInt64 = 0) -> ShardRecord {
        ShardRecord(id: ShardID(id), name: id, database: database, primaryEndpoint: "postgres://a@b/c", vnodes: vnodes, version: version)
    }

    private func table(_ name: String, in database: String = "app", version: UInt64 = 0) -> TableRecord {
        TableRecord(database: database, name: QualifiedName(schema: "public", name: name), placement: .reference, version: version)
    }

    private func change(_ operations: CatalogChange.Operation...) -> CatalogChange { CatalogChange(operations, author: "test") }

    /// A database of two shards with two vnodes each, and a table.
    private func sample() throws -> CatalogSnapshot {
        let vnodes = ring(4)
        return try CatalogSnapshot(clusterID: "c").applying(
            change(
                .putDatabase(DatabaseRecord(name: "app", homeShard: ShardID("a"))), .putShard(shard("a", [vnodes[0], vnodes[2]])),
                .putShard(shard("b", [vnodes[1], vnodes[3]])), .putTable(table("t"))))
    }

    private func refusal(_ operations: CatalogChange.Operation..., of snapshot: CatalogSnapshot) -> CatalogChangeError? {
        do throws(CatalogChangeError) {
            _ = try snapshot.applying(CatalogChange(operations, author: "test"))
            return nil
        } catch {
            return error
        }
    }

    @Test func eachChangeIsOneEpochAndOneVersion() throws {
        let one = try sample()
        #expect(one.epoch == Epoch(1) && one.databases["app"]?.version == 1)
        let two = try one.applying(change(.putTable(table("t", version: 1)), .setSetting(name: "s", value: "1")))
        #expect(two.epoch == Epoch(2) && two.databases == one.databases && two.settings == ["s": "1"])
        #expect(two.tables.values.map(\.version) == [2])
        #expect(try two.applying(change(.setSetting(name: "s", value: nil))).settings.isEmpty)
    }

    @Test func laterOperationsSeeEarlierOnes() throws {
        let next = try sample().applying(
            change(
                .deleteTable(database: "app", name: QualifiedName(schema: "public", name: "t"), version: 1), .putTable(table("t")),
                .putTable(table("t", version: 1)), .putTable(table("new"))))
        #expect(next.tables.values.map(\.version).sorted() == [1, 2])
    }

    @Test func staleVersionsAreConflicts() throws {
        let snapshot = try sample()
        let wrong: [CatalogChange.Operation] = [
            .putDatabase(DatabaseRecord(name: "app")), .putDatabase(DatabaseRecord(name: "app", version: 2)), .putDatabase(DatabaseRecord(name: "x", version: 1)),
            .deleteDatabase(name: "app", version: 0), .deleteDatabase(name: "x", version: 0), .putShard(shard("a", [])),
            .deleteShard(id: ShardID("a"), version: 2), .putTable(table("t", version: .max)), .putTable(table("x", version: .max)),
            .deleteTable(database: "app", name: QualifiedName(schema: "public", name: "x"), version: 1),
            .putUser(UserRecord(name: "u", verifier: "", roles: [], version: 1)), .deleteUser(name: "u", version: 1),
        ]
        for operation in wrong { #expect(refusal(operation, of: snapshot)?.isConflict == true, "\(operation)") }
    }

    @Test func ringIsWholeOrAbsent() throws {
        let snapshot = try sample()
        let vnodes = ring(4)
        let third = UInt64.max / 4 * 2
        #expect(refusal(.putShard(shard("a", [vnodes[0]], version: 1)), of: snapshot) == .gap(database: "app", at: Token(third)))
        #expect(
            refusal(.putShard(shard("a", [vnodes[0], vnodes[1], vnodes[2]].map { VNode(id: $0.id + 10, range: $0.range) }, version: 1)), of: snapshot)
                == .overlap(database: "app", at: Token(vnodes[1].range.start)))
        #expect(refusal(.deleteShard(id: ShardID("b"), version: 1), of: snapshot) == .gap(database: "app", at: Token(vnodes[1].range.start)))
        #expect(refusal(.putShard(shard("b", Array(vnodes[1...2]), version: 1)), of: snapshot) != nil)
        #expect(refusal(.putShard(shard("c", [], in: "app")), of: snapshot) == nil, "a shard may own nothing")
        #expect(
            refusal(.putShard(shard("a", [], version: 1)), .putShard(shard("b", [], version: 1)), of: snapshot) == nil, "nobody may own anything")
        #expect(
            refusal(.putShard(shard("a", [vnodes[1]], version: 1)), .putShard(shard("b", [vnodes[0], vnodes[2], vnodes[3]], version: 1)), of: snapshot) == nil,
            "vnodes may move")
        #expect(refusal(.putShard(shard("a", ring(5), version: 1)), .putShard(shard("b", [], version: 1)), of: snapshot) == nil)
    }

    @Test func aRingBeginsAndEndsAtTheEnds() throws {
        let empty = try CatalogSnapshot(clusterID: "c").applying(change(.putDatabase(DatabaseRecord(name: "app"))))
        func refusal(_ range: ClosedRange<UInt64>) -> CatalogChangeError? {
            self.refusal(.putShard(shard("a", [VNode(id: 1, range: TokenRange(range))])), of: empty)
        }
        #expect(refusal(0...UInt64.max) == nil)
        #expect(refusal(1...UInt64.max) == .gap(database: "app", at: Token(0)))
        #expect(refusal(0...UInt64.max - 1) == .gap(database: "app", at: Token(.max)))
        var inverted = VNode(id: 1, range: .whole)
        inverted.range.start = 2
        inverted.range.end = 1
        #expect(self.refusal(.putShard(shard("a", [inverted])), of: empty) == .invertedRange(database: "app", vnode: 1))
    }

    @Test func vnodeIDsAreUniqueInTheDatabase() throws {
        let snapshot = try sample()
        let vnodes = ring(4)
        let repeated = [VNode(id: 2, range: vnodes[0].range), vnodes[2]]
        #expect(refusal(.putShard(shard("a", repeated, version: 1)), of: snapshot) == .repeatedVNode(database: "app", vnode: 2))
        let twice = [VNode(id: 9, range: vnodes[0].range), VNode(id: 9, range: vnodes[2].range)]
        #expect(refusal(.putShard(shard("a", twice, version: 1)), of: snapshot) == .repeatedVNode(database: "app", vnode: 9))
        #expect(
            refusal(.putDatabase(DatabaseRecord(name: "other")), .putShard(shard("o", ring(4), in: "other")), of: snapshot) == nil,
            "another database has its own")
    }

    @Test func vnodesAreStoredSorted() throws {
        let next = try sample().applying(change(.putShard(shard("a", [ring(4)[2], ring(4)[0]], version: 1))))
        #expect(next.shards[ShardID("a")]?.vnodes == [ring(4)[0], ring(4)[2]])
    }

    @Test func recordsBelongToADatabaseThatExists() throws {
        let snapshot = try sample()
        #expect(refusal(.putShard(shard("x", [], in: "none")), of: snapshot) == .unknownDatabase("none", record: "shard \"x\""))
        #expect(refusal(.putTable(table("x", in: "none")), of: snapshot) == .unknownDatabase("none", record: "table \"public.x\" of database \"none\""))
        #expect(refusal(.deleteDatabase(name: "app", version: 1), of: snapshot) != nil)
        let withoutShards = try snapshot.applying(
            change(
                .putDatabase(DatabaseRecord(name: "app", version: 1)), .deleteShard(id: ShardID("a"), version: 1),
                .deleteShard(id: ShardID("b"), version: 1)))
        #expect(refusal(.deleteDatabase(name: "app", version: 2), of: withoutShards) == .databaseInUse("app", by: "table \"public.t\""))
        let name = QualifiedName(schema: "public", name: "t")
        #expect(refusal(.deleteTable(database: "app", name: name, version: 1), .deleteDatabase(name: "app", version: 2), of: withoutShards) == nil)
    }

    @Test func homeShardIsOfTheDatabase() throws {
        let snapshot = try sample()
        func home(_ id: String) -> CatalogChange.Operation { .putDatabase(DatabaseRecord(name: "app", homeShard: ShardID(id), version: 1)) }
        #expect(refusal(home("none"), of: snapshot) == .homeShardMissing(database: "app", shard: ShardID("none")))
        let other: [CatalogChange.Operation] = [.putDatabase(DatabaseRecord(name: "other")), .putShard(shard("o", [], in: "other"))]
        #expect(refusal(other[0], other[1], home("o"), of: snapshot) == .homeShardElsewhere(database: "app", shard: ShardID("o")))
        // The home shard goes, though its database is not named in the change.
        let all: [CatalogChange.Operation] = [.deleteShard(id: ShardID("a"), version: 1), .putShard(shard("b", ring(4), version: 1))]
        #expect(refusal(all[0], all[1], of: snapshot) == .homeShardMissing(database: "app", shard: ShardID("a")))
        #expect(refusal(all[0], all[1], home("b"), of: snapshot) == nil)
    }

    @Test func emptyNamesAreRefused() throws {
        let snapshot = try sample()
        let wrong: [CatalogChange.Operation] = [
            .putDatabase(DatabaseRecord(name: "")), .putShard(shard("", [])), .putTable(table("")), .putUser(UserRecord(name: "", verifier: "", roles: [])),
            .setSetting(name: "", value: "x"),
        ]
        for operation in wrong {
            guard case .emptyName = refusal(operation, of: snapshot) else { Issue.record("\(operation)"); continue }
        }
    }

    /// Random changes of a few shards: the quick check of what was touched says the same as a check of everything.
    @Test(arguments: 0..<40 as Range<UInt64>) func touchedCheckAgreesWithFullCheck(_ seed: UInt64) throws {
        var random = SeededNumbers(state: seed)
        var snapshot = try CatalogSnapshot(clusterID: "c").applying(change(.putDatabase(DatabaseRecord(name: "app"))))
        var refused = 0
        for _ in 0..<120 {
            var operations: [CatalogChange.Operation] = []
            var owned = snapshot.shards.mapValues(\.vnodes)
            var loose = owned.isEmpty || random.next(10) == 0 ? ring(8, firstID: UInt32(random.next(3)) * 8 + 1) : []
            if !loose.isEmpty { owned = [:] }
            for _ in 0..<random.next(4) {
                guard let id = owned.keys.sorted().dropFirst(random.next(4)).first, let vnode = owned[id]?.popLast() else { continue }
                loose.append(vnode)
            }
            if random.next(6) == 0, !loose.isEmpty { loose.removeLast() }
            if random.next(6) == 0, let first = loose.first { loose.append(VNode(id: first.id + 100, range: first.range)) }
            for vnode in loose { owned[ShardID("s\(random.next(4))"), default: []].append(vnode) }
            for id in Set(owned.keys).union(snapshot.shards.keys) where owned[id] ?? [] != snapshot.shards[id]?.vnodes ?? [] {
                operations.append(.putShard(shard(id.name, owned[id] ?? [], version: snapshot.shards[id]?.version ?? 0)))
            }
            var all = snapshot
            for case .putShard(let record) in operations { all.shards[record.id] = record }
            let isValid = (try? all.checkInvariants()) != nil
            let next = try? snapshot.applying(CatalogChange(operations, author: "test"))
            #expect((next != nil) == isValid, "seed \(seed)")
            if let next { snapshot = next } else { refused += 1 }
        }
        #expect(refused > 0, "seed \(seed) breaks something now and then")
    }
}

private struct SeededNumbers {
    var state: UInt64
    mutating func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }
}
