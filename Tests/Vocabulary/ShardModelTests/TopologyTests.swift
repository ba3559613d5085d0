import ShardModel
import Testing

@Suite struct TopologyTests {
    private func catalog(home: String?, _ vnodes: [String: [VNode]]) -> CatalogSnapshot {
        var catalog = CatalogSnapshot(epoch: Epoch(7), clusterID: "c")
        catalog.databases["shop"] = DatabaseRecord(name: "shop", homeShard: home.map { ShardID($0) })
        for (name, owned) in vnodes {
            catalog.shards[ShardID(name)] = ShardRecord(
                id: ShardID(name), name: name, database: "shop", primaryEndpoint: "postgres://localhost/\(name)", vnodes: owned)
        }
        let foreign = ShardID("another")
        catalog.databases["other"] = DatabaseRecord(name: "other", homeShard: foreign)
        catalog.shards[foreign] = ShardRecord(
            id: foreign, name: "another", database: "other", primaryEndpoint: "postgres://localhost/x", vnodes: [VNode(id: 1, range: .whole)])
        let orders = QualifiedName(schema: "public", name: "orders")
        for (database, placement) in [("shop", Placement.sharded(key: "customer_id")), ("other", .local)] {
            catalog.tables[.init(database: database, table: orders)] = TableRecord(database: database, name: orders, placement: placement)
        }
        return catalog
    }

    @Test func aTopologyHoldsItsOwnDatabaseOnlyWithShardsByID() throws {
        let halves = RingCut.even(over: 2, vnodesEach: 4, after: 0)
        let topology = try Topology(database: "shop", in: catalog(home: "s-2", ["s-2": halves[0], "s-1": halves[1], "s-3": []]))
        #expect(topology.epoch == Epoch(7))
        #expect(topology.shards.map(\.id.name) == ["s-1", "s-2", "s-3"])
        #expect(topology.homeShard == ShardIndex(1))
        #expect(topology.ring.owner(of: Token(0)) == ShardIndex(1))
        #expect(topology.ring.owner(of: Token(.max)) == ShardIndex(0))
        #expect(topology.placements == [QualifiedName(schema: "public", name: "orders"): .sharded(key: "customer_id")])
        #expect(topology.index(of: ShardID("s-3")) == ShardIndex(2))
        #expect(topology.index(of: ShardID("another")) == nil)
    }

    @Test func aShardThatIsJoiningIsNoPartOfTheDatabase() throws {
        var catalog = catalog(home: "s", ["s": [VNode(id: 1, range: .whole)], "new": [], "retired": []])
        catalog.shards[ShardID("new")]?.status = .migrating
        #expect(try Topology(database: "shop", in: catalog).shards.map(\.id.name) == ["retired", "s"])
        // With vnodes it is one that rows are moved from or to.
        catalog.shards[ShardID("s")]?.status = .migrating
        #expect(try Topology(database: "shop", in: catalog).shards.map(\.id.name) == ["retired", "s"])
    }

    @Test func theRingOfAnEarlierEpochIsUsedWhileItIsTheSame() throws {
        let halves = RingCut.even(over: 2, vnodesEach: 4, after: 0)
        let before = catalog(home: "a", ["a": halves[0], "b": halves[1]])
        let old = try Topology(database: "shop", in: before)
        for (vnodes, owner) in [([halves[0], halves[1]], 0), ([halves[1], halves[0]], 1), ([halves[0] + halves[1], []], 0), ([[], halves[0] + halves[1]], 1)] {
            let after = catalog(home: "a", ["a": vnodes[0], "b": vnodes[1]])
            #expect(try Topology(database: "shop", in: after, after: old).ring.owner(of: Token(0)) == ShardIndex(owner))
        }
        // Another shard comes before both: the positions are others.
        let after = catalog(home: "a", ["a": halves[0], "b": halves[1], "0": []])
        #expect(try Topology(database: "shop", in: after, after: old).ring.owner(of: Token(0)) == ShardIndex(1))
    }

    @Test func whatCannotBeServedIsRefused() {
        let whole = [VNode(id: 1, range: .whole)]
        #expect(throws: TopologyError.unknownDatabase("x")) { try Topology(database: "x", in: catalog(home: nil, [:])) }
        #expect(throws: TopologyError.noShards("shop")) { try Topology(database: "shop", in: catalog(home: nil, [:])) }
        #expect(throws: TopologyError.noHomeShard("shop")) { try Topology(database: "shop", in: catalog(home: nil, ["s": whole])) }
        #expect(throws: TopologyError.noHomeShard("shop")) { try Topology(database: "shop", in: catalog(home: "another", ["s": whole])) }
        #expect(throws: TopologyError.ring(.empty)) { try Topology(database: "shop", in: catalog(home: "s", ["s": []])) }
        #expect(throws: TopologyError.ring(.overlap(at: Token(0)))) {
            try Topology(database: "shop", in: catalog(home: "s", ["s": whole, "t": whole]))
        }
    }
}
