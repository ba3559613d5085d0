import ReshardCore
import ShardModel
import Testing

@Suite struct MovePlanTests {
    private let a = ShardID("a")
    private let b = ShardID("b")
    private let c = ShardID("c")
    private let d = ShardID("d")

    /// a and b own the ring, c is active and owns nothing, d is joining; x is of another database.
    private func catalog(vnodesEach: Int = 4) throws -> CatalogSnapshot {
        let parts = RingCut.even(over: 2, vnodesEach: vnodesEach, after: 0)
        let shards = [
            ShardRecord(id: a, name: "a", database: "app", primaryEndpoint: "", vnodes: parts[0], version: 1),
            ShardRecord(id: b, name: "b", database: "app", primaryEndpoint: "", vnodes: parts[1], version: 1),
            ShardRecord(id: c, name: "c", database: "app", primaryEndpoint: "", version: 1),
            ShardRecord(id: d, name: "d", database: "app", primaryEndpoint: "", status: .migrating, version: 1),
            ShardRecord(id: ShardID("x"), name: "x", database: "other", primaryEndpoint: "", vnodes: [VNode(id: 1, range: .whole)], version: 1),
        ]
        let catalog = CatalogSnapshot(
            epoch: Epoch(5), clusterID: "test",
            databases: ["app": DatabaseRecord(name: "app", homeShard: a, version: 1), "other": DatabaseRecord(name: "other", homeShard: ShardID("x"), version: 1)],
            shards: Dictionary(uniqueKeysWithValues: shards.map { ($0.id, $0) }))
        try catalog.checkInvariants()
        return catalog
    }

    private func width(_ vnodes: [VNode]) -> UInt128 { vnodes.reduce(0) { $0 + $1.range.width } }

    /// The catalog with the plan's cuts, which must be one that a store takes, and in which no token has another owner.
    private func cut(_ plan: MovePlan, _ catalog: CatalogSnapshot) throws -> CatalogSnapshot {
        if plan.cut.isEmpty { return catalog }
        let after = try catalog.applying(CatalogChange(plan.cut.map { .putShard($0) }, author: "test"))
        for shard in catalog.shards.values { #expect(width(after.shards[shard.id]?.vnodes ?? []) == width(shard.vnodes)) }
        return after
    }

    @Test(arguments: ["b", "c", "d"]) func aSplitIntoOneTargetMovesHalf(_ target: String) throws {
        let catalog = try catalog()
        let plan = try MovePlan.make(.split(source: a, targets: [ShardID(target)], border: nil), in: catalog)
        #expect(plan.kind == .split && plan.database == "app" && plan.cut.isEmpty)
        #expect(plan.moves.allSatisfy { $0.source == a && $0.target.name == target })
        #expect(width(plan.moves.map(\.vnode)) * 2 == width(catalog.shards[a]?.vnodes ?? []))
    }

    /// Of one vnode's rows, nearly all are in its lower quarter.
    @Test func aMeasuredSplitMovesHalfOfWhatIsThere() throws {
        let catalog = try catalog(vnodesEach: 1)
        let range = try #require(catalog.shards[a]?.vnodes.first?.range)
        let quarter = range.start + UInt64(range.width / 4)
        let measure = TokenMeasure((0..<4000).map { _ in (Token(.random(in: range.start...quarter)), 1) })
        let plan = try MovePlan.make(.split(source: a, targets: [d], border: nil), in: catalog, by: measure)
        _ = try cut(plan, catalog)
        let moved = plan.moves.reduce(0) { $0 + measure.weight(of: $1.vnode.range) }
        #expect(abs(Double(moved) / Double(measure.weight(of: range)) - 0.5) < 0.02)
        #expect(width(plan.moves.map(\.vnode)) > range.width / 2)
    }

    /// All rows have one key. It goes whole, or stays, and each part has some tokens.
    @Test func aShardOfOneKeyIsSplitAllTheSame() throws {
        for vnodesEach in [1, 4] {
            let catalog = try catalog(vnodesEach: vnodesEach)
            let owned = try #require(catalog.shards[a]?.vnodes)
            let (first, last) = (owned[0].range, owned[vnodesEach - 1].range)
            for heavy in [first.start, first.start + 1, first.end, last.start, last.end - 1, last.end] {
                let measure = TokenMeasure([(Token(heavy), 1000)])
                for targets in [[d], [c, d], [b, c, d]] {
                    let plan = try MovePlan.make(.split(source: a, targets: targets, border: nil), in: catalog, by: measure)
                    _ = try cut(plan, catalog)
                    #expect(Set(plan.moves.map(\.target)) == Set(targets))
                    let moved = width(plan.moves.map(\.vnode))
                    #expect(targets.count > 1 ? moved == width(owned) : moved > 0 && moved < width(owned))
                }
            }
        }
    }

    @Test func aVNodeIsCutWhereTheHalvesWouldNotBeEven() throws {
        let catalog = try catalog(vnodesEach: 1)
        let plan = try MovePlan.make(.split(source: a, targets: [d], border: nil), in: catalog)
        let after = try cut(plan, catalog)
        #expect(plan.cut.map(\.id) == [a] && after.shards[a]?.vnodes.count == 2)
        #expect(plan.moves.map(\.vnode) == after.shards[a]?.vnodes.suffix(1))
        #expect(width(plan.moves.map(\.vnode)) * 2 == width(after.shards[a]?.vnodes ?? []))
    }

    @Test func aSplitPointIsWhereTheTargetBegins() throws {
        let catalog = try catalog()
        let plan = try MovePlan.make(.split(source: b, targets: [c], border: Token(.max - 9)), in: catalog)
        let after = try cut(plan, catalog)
        #expect(plan.moves.map(\.vnode.range) == [TokenRange((.max - 9)...(.max))] && after.shards[b]?.vnodes.count == 5)
        // On the border of two vnodes nothing is cut.
        let border = try #require(catalog.shards[b]?.vnodes[1].range.start)
        let even = try MovePlan.make(.split(source: b, targets: [c], border: Token(border)), in: catalog)
        #expect(even.cut.isEmpty && even.moves.count == 3)
    }

    @Test(arguments: [1, 2, 4, 7]) func severalTargetsShareAllOfItEvenly(_ vnodes: Int) throws {
        let catalog = try catalog(vnodesEach: vnodes)
        let plan = try MovePlan.make(.split(source: a, targets: [b, c, d], border: nil), in: catalog)
        let after = try cut(plan, catalog)
        #expect(plan.moves.map(\.vnode) == after.shards[a]?.vnodes)
        let whole = width(catalog.shards[a]?.vnodes ?? [])
        for target in [b, c, d] {
            let part = width(plan.moves.filter { $0.target == target }.map(\.vnode))
            #expect(part > whole * 32 / 100 && part < whole * 35 / 100)
        }
    }

    @Test func aMergeMovesAllOfAllSources() throws {
        let catalog = try catalog()
        let plan = try MovePlan.make(.merge(sources: [a, b], target: d), in: catalog)
        #expect(plan.cut.isEmpty && plan.moves.count == 8)
        for source in [a, b] { #expect(plan.moves.filter { $0.source == source }.map(\.vnode) == catalog.shards[source]?.vnodes) }
        #expect(try MovePlan.make(.merge(sources: [a], target: b), in: catalog).moves.count == 4)
    }

    @Test func aMoveIsOfTheVNodesThatAreNamed() throws {
        let catalog = try catalog()
        let plan = try MovePlan.make(.move(vnodes: [3, 1], source: a, target: b), in: catalog)
        #expect(plan.moves.map(\.vnode.id) == [1, 3] && plan.cut.isEmpty && plan.kind == .move)
    }

    @Test(arguments: [1, 4, 256]) func aShardThatJoinsGetsAFairShareOfAll(vnodesEach: Int) throws {
        let catalog = try catalog(vnodesEach: vnodesEach)
        let plan = try MovePlan.make(.fill(d), in: catalog)
        let after = try cut(plan, catalog)
        #expect(plan.kind == .move && plan.moves.allSatisfy { $0.target == d } && Set(plan.moves.map(\.source)) == [a, b])
        for source in [a, b] {
            let moved = width(plan.moves.filter { $0.source == source }.map(\.vnode))
            #expect(abs(Double(moved) / Double(TokenRange.whole.width) - 1.0 / 6) < 0.01)
            let owned = Set(after.shards[source]?.vnodes ?? [])
            #expect(plan.moves.filter { $0.source == source }.allSatisfy { owned.contains($0.vnode) })
        }
    }

    @Test func whatAShardHasAlreadyCounts() throws {
        var catalog = try catalog(vnodesEach: 120)
        // Sixty of a's vnodes are c's: it has a quarter, and a third would be fair.
        let part = Array(try #require(catalog.shards[a]).vnodes.suffix(60))
        catalog.shards[c]?.vnodes = part
        catalog.shards[a]?.vnodes.removeLast(60)
        try catalog.checkInvariants()
        let plan = try MovePlan.make(.fill(c), in: catalog)
        #expect(Set(plan.moves.map(\.source)) == [b])
        #expect(abs(Double(width(plan.moves.map(\.vnode))) / Double(TokenRange.whole.width) - 1.0 / 12) < 0.01)
        // a has less than b: it gets more.
        let drained = try MovePlan.make(.drain(c), in: catalog)
        #expect(Set(drained.moves.map(\.vnode)) == Set(catalog.shards[c]?.vnodes ?? []) && drained.cut.isEmpty)
        #expect(Set(drained.moves.map(\.target)) == [a])
    }

    @Test func aDrainedShardGoesToThoseThatOwnSomething() throws {
        let catalog = try catalog()
        let plan = try MovePlan.make(.drain(a), in: catalog)
        #expect(plan.moves.map(\.vnode) == catalog.shards[a]?.vnodes && plan.moves.allSatisfy { $0.source == a && $0.target == b })
    }

    /// b has four times the rows of a, all in its lowest vnode.
    @Test func whatIsMeasuredIsEvenedOut() throws {
        let catalog = try catalog()
        let (low, crowded) = (try #require(catalog.shards[a]?.vnodes), try #require(catalog.shards[b]?.vnodes.first).range)
        func token(_ range: TokenRange, _ part: Int) -> Token { Token(range.start + UInt64(range.width / 1001) * UInt64(part)) }
        let samples = (0..<1000).map { (token(low[$0 % 4].range, $0), 1.0) } + (0..<1000).map { (token(crowded, $0), 4.0) }
        let measure = TokenMeasure(samples)
        func weight(_ vnodes: [VNode]) -> Double { Double(vnodes.reduce(0) { $0 + measure.weight(of: $1.range) }) / Double(measure.weight(of: .whole)) }
        let filled = try MovePlan.make(.fill(d), in: catalog, by: measure)
        _ = try cut(filled, catalog)
        #expect(abs(weight(filled.moves.map(\.vnode)) - 1.0 / 3) < 0.02)
        #expect(filled.moves.allSatisfy { $0.source == b })
        let split = try MovePlan.make(.split(source: b, targets: [d], border: nil), in: catalog, by: measure)
        #expect(abs(weight(split.moves.map(\.vnode)) - 0.4) < 0.02)
    }

    /// All rows have one key: what is new gets tokens all the same, for the keys to come.
    @Test func aFairShareOfOneKeyIsOneOfTokens() throws {
        let catalog = try catalog(vnodesEach: 1)
        let heavy = try #require(catalog.shards[a]?.vnodes.first).range
        for token in [heavy.start, heavy.start + heavy.end / 3, heavy.end] {
            let measure = TokenMeasure([(Token(token), 1)])
            let plan = try MovePlan.make(.fill(d), in: catalog, by: measure)
            _ = try cut(plan, catalog)
            #expect(!plan.moves.isEmpty)
            #expect(try MovePlan.make(.drain(a), in: catalog, by: measure).moves.count == 1)
        }
    }

    @Test func whatCannotBeMovedIsRefusedWithItsReason() throws {
        var catalog = try catalog()
        let x = ShardID("x")
        let refused: [(MoveRequest, MoveRefusal)] = [
            (.split(source: ShardID("no"), targets: [b], border: nil), .unknownShard(ShardID("no"))),
            (.split(source: a, targets: [], border: nil), .noTarget),
            (.merge(sources: [], target: b), .noSource),
            (.merge(sources: [a, a], target: b), .duplicate(a)),
            (.split(source: a, targets: [b, b], border: nil), .duplicate(b)),
            (.split(source: a, targets: [a], border: nil), .sourceIsTarget(a)),
            (.merge(sources: [a, b], target: b), .sourceIsTarget(b)),
            (.split(source: a, targets: [x], border: nil), .databases("app", "other")),
            (.split(source: c, targets: [b], border: nil), .ownsNothing(c)),
            (.merge(sources: [a, d], target: b), .ownsNothing(d)),
            (.move(vnodes: [], source: a, target: b), .noVNodes),
            (.move(vnodes: [1, 1], source: a, target: b), .duplicateVNode(1)),
            (.move(vnodes: [1, 5], source: a, target: b), .unknownVNode(5, a)),
            (.move(vnodes: [99], source: a, target: b), .unknownVNode(99, a)),
            (.split(source: a, targets: [b, c], border: Token(5)), .borderWithSeveralTargets),
            (.split(source: a, targets: [b], border: Token(0)), .border(Token(0))),
            (.split(source: a, targets: [b], border: Token(.max)), .border(Token(.max))),
            (.fill(ShardID("no")), .unknownShard(ShardID("no"))),
            (.drain(ShardID("no")), .unknownShard(ShardID("no"))),
            (.fill(a), .hasItsShare(a)),
            (.fill(x), .alone(x)),
            (.drain(x), .alone(x)),
            (.drain(c), .ownsNothing(c)),
            (.drain(d), .ownsNothing(d)),
        ]
        for (request, refusal) in refused {
            #expect(throws: refusal, "\(request)") { try MovePlan.make(request, in: catalog) }
        }
        catalog.shards[b]?.status = .inactive
        #expect(throws: MoveRefusal.notActive(b, .inactive)) { try MovePlan.make(.split(source: a, targets: [b], border: nil), in: catalog) }
        #expect(throws: MoveRefusal.notActive(b, .inactive)) { try MovePlan.make(.fill(b), in: catalog) }
        #expect(throws: MoveRefusal.alone(a)) { try MovePlan.make(.drain(a), in: catalog) }
    }
}
