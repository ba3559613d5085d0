import ShardModel
import TestKit
import Testing

@Suite struct RingPlannerTests {
    private static let total = TokenRange.whole.width

    private static func shards(_ count: Int) -> [ShardID] { (0..<count).map { ShardID("shard-\($0)") } }

    /// The owners before and after, for tokens at every border and between.
    private static func changes(_ old: RingLayout, _ new: RingLayout) throws -> [(from: ShardID, to: ShardID, width: UInt128)] {
        let starts = Set((Array(old.vnodes.values.joined()) + Array(new.vnodes.values.joined())).map(\.range.start)).sorted()
        let (oldShards, newShards) = (old.shards, new.shards)
        let (oldRing, newRing) = (try HashRing(old.shards.map { old.vnodes[$0]! }), try HashRing(new.shards.map { new.vnodes[$0]! }))
        return starts.enumerated().compactMap { position, start in
            let end = position + 1 < starts.count ? UInt128(starts[position + 1]) : total
            let from = oldShards[oldRing.owner(of: Token(start)).value]
            let to = newShards[newRing.owner(of: Token(start)).value]
            return from == to ? nil : (from, to, end - UInt128(start))
        }
    }

    private static func spread(_ layout: RingLayout) -> Double {
        let loads = layout.shards.map { Double(layout.load(of: $0)) }
        return loads.max()! / loads.min()!
    }

    @Test(arguments: [1, 2, 3, 4, 7, 10, 40, 300], [1, 2, 16, 256])
    func anotherShardTakesItsShareFromAllAndNothingMovesBetweenTheOld(count: Int, vnodesEach: Int) throws {
        let old = try RingLayout.even(over: Self.shards(count), vnodesEach: vnodesEach)
        var planner = RingPlanner(old)
        let new = ShardID("new")
        try planner.add(new)
        let changes = try Self.changes(old, planner.layout)
        #expect(changes.allSatisfy { $0.to == new })
        let moved = Double(changes.reduce(0) { $0 + $1.width }) / Double(Self.total)
        #expect(abs(moved * Double(count + 1) - 1) < 0.01)
        #expect(try old.applying(planner.steps) == planner.layout)
        #expect(try RingLayout(planner.layout.vnodes) == planner.layout)
        #expect(Self.spread(planner.layout) < 1.04)
    }

    @Test func aDatabaseGrownShardByShardStaysEvenAndInFewRanges() throws {
        var planner = RingPlanner(try RingLayout.even(over: Self.shards(1), vnodesEach: 256))
        for number in 1..<24 { try planner.add(ShardID("shard-\(number)")) }
        #expect(Self.spread(planner.layout) < 1.04)
        let ring = try HashRing(planner.layout.shards.map { planner.layout.vnodes[$0]! })
        #expect(ring.rangeCount < 24 * 24)
    }

    @Test(arguments: [2, 3, 8, 40, 300], [1, 2, 256])
    func aRemovedShardIsSharedOutAndNothingElseMoves(count: Int, vnodesEach: Int) throws {
        let old = try RingLayout.even(over: Self.shards(count), vnodesEach: vnodesEach)
        var planner = RingPlanner(old)
        let gone = ShardID("shard-1")
        try planner.remove(gone)
        let changes = try Self.changes(old, planner.layout)
        #expect(changes.allSatisfy { $0.from == gone })
        #expect(changes.reduce(0) { $0 + $1.width } == old.load(of: gone))
        #expect(planner.layout.vnodes[gone] == nil)
        #expect(try old.applying(planner.steps) == planner.layout)
        #expect(Self.spread(planner.layout) < 1.04)
    }

    /// The first owns nothing, and gives and gets nothing; the last has half of what would be fair.
    @Test func onlyWhoIsNamedGivesAndTakes() throws {
        let shards = Self.shards(4)
        var planner = RingPlanner(try RingLayout.even(over: Array(shards[1...]), vnodesEach: 256))
        try planner.add(shards[0])
        try planner.remove(shards[0], into: [shards[1]])
        var layout = try planner.layout.applying([.add(shards[0])])
        let half = layout.vnodes[shards[3], default: []].prefix(128).map(\.id)
        layout = try layout.applying([.move(vnodes: half, from: shards[3], to: shards[2])])
        var filled = RingPlanner(layout)
        try filled.fill(shards[3], from: [shards[1], shards[2]])
        let changes = try Self.changes(layout, filled.layout)
        #expect(changes.allSatisfy { $0.to == shards[3] && $0.from != shards[0] })
        #expect(filled.layout.load(of: shards[0]) == 0)
        #expect(abs(Double(filled.layout.load(of: shards[3])) / Double(Self.total) - 1.0 / 3) < 0.01)
        let again = filled
        try filled.fill(shards[3], from: [shards[1], shards[2]])
        #expect(filled.layout == again.layout)
        var drained = RingPlanner(layout)
        try drained.remove(shards[3], into: [shards[1], shards[2]])
        #expect(try Self.changes(layout, drained.layout).allSatisfy { $0.from == shards[3] && $0.to != shards[0] })
        #expect(drained.layout.load(of: shards[0]) == 0)
    }

    @Test func aMergeMovesOneShardIntoAnotherOnly() throws {
        let old = try RingLayout.even(over: Self.shards(4), vnodesEach: 16)
        var planner = RingPlanner(old)
        try planner.merge(ShardID("shard-2"), into: ShardID("shard-0"))
        let changes = try Self.changes(old, planner.layout)
        #expect(changes.allSatisfy { $0.from == ShardID("shard-2") && $0.to == ShardID("shard-0") })
        #expect(changes.reduce(0) { $0 + $1.width } == old.load(of: ShardID("shard-2")))
        #expect(planner.layout.shards == Self.shards(4).filter { $0 != ShardID("shard-2") })
    }

    @Test(arguments: [1, 2, 3, 256])
    func aSplitHalvesOneShard(vnodesEach: Int) throws {
        let old = try RingLayout.even(over: Self.shards(3), vnodesEach: vnodesEach)
        var planner = RingPlanner(old)
        try planner.split(ShardID("shard-1"), into: ShardID("new"))
        let changes = try Self.changes(old, planner.layout)
        #expect(changes.allSatisfy { $0.from == ShardID("shard-1") && $0.to == ShardID("new") })
        let moved = Double(changes.reduce(0) { $0 + $1.width })
        #expect(abs(moved / Double(old.load(of: ShardID("shard-1"))) - 0.5) < 0.01)
    }

    /// Nine tenths of the rows lie in a sixteenth of the tokens.
    private static func skewed() -> TokenMeasure {
        let narrow = UInt64.max / 16
        return TokenMeasure((0..<9000).map { _ in (Token(.random(in: 0...narrow)), 1) } + (0..<1000).map { _ in (Token(.random(in: narrow...UInt64.max)), 1) })
    }

    private static func load(_ layout: RingLayout, _ shard: ShardID, _ measure: TokenMeasure) -> Double {
        Double(layout.vnodes[shard]!.reduce(0) { $0 + measure.weight(of: $1.range) }) / Double(measure.weight(of: .whole))
    }

    @Test(arguments: [1, 2, 16, 256]) func whatIsMeasuredIsSharedOutAndNotTheTokens(vnodesEach: Int) throws {
        let (measure, shards) = (Self.skewed(), Self.shards(3))
        let layout = try RingLayout.even(over: [shards[0]], vnodesEach: vnodesEach)
        var split = RingPlanner(layout, by: measure)
        try split.split(shards[0], into: shards[1])
        #expect(abs(Self.load(split.layout, shards[0], measure) - 0.5) < 0.02)
        #expect(Double(split.layout.load(of: shards[1])) > 0.9 * Double(Self.total))
        #expect(try layout.applying(split.steps) == split.layout)
        // Another one takes its share of both, and gives it back when it leaves.
        var grown = RingPlanner(split.layout, by: measure)
        try grown.add(shards[2])
        for shard in shards { #expect(abs(Self.load(grown.layout, shard, measure) - 1.0 / 3) < 0.03) }
        var shrunk = RingPlanner(grown.layout, by: measure)
        try shrunk.remove(shards[2])
        for shard in shards.prefix(2) { #expect(abs(Self.load(shrunk.layout, shard, measure) - 0.5) < 0.03) }
        var divided = RingPlanner(layout, by: measure)
        try divided.divide(shards[0], into: [ShardID("x"), ShardID("y"), ShardID("z")])
        for shard in ["x", "y", "z"] { #expect(abs(Self.load(divided.layout, ShardID(shard), measure) - 1.0 / 3) < 0.03) }
    }

    @Test func aVNodeIsCutInItsMiddle() throws {
        var planner = RingPlanner(try RingLayout.even(over: Self.shards(2), vnodesEach: 1))
        try planner.cut(vnode: 2)
        let parts = planner.layout.vnodes[ShardID("shard-1")]!
        #expect(parts.map(\.id) == [3, 4])
        #expect(parts[0].range.width == parts[1].range.width)
        var tiny = RingPlanner(
            try RingLayout([ShardID("s"): [VNode(id: 1, range: TokenRange(0...0)), VNode(id: 2, range: TokenRange(1...UInt64.max))]]))
        #expect(throws: RingError.cannotCut(vnode: 1)) { try tiny.cut(vnode: 1) }
        #expect(throws: RingError.unknownVNode(9)) { try tiny.cut(vnode: 9) }
    }

    @Test func idsAreNeverUsedAgainAndMayRunOut() throws {
        let layout = try RingLayout([ShardID("s"): [VNode(id: .max - 1, range: .whole)]])
        var planner = RingPlanner(layout)
        #expect(throws: RingError.vnodesExhausted) { try planner.cut(vnode: .max - 1) }
        #expect(planner.layout == layout)
    }

    @Test func theLastShardStays() throws {
        var planner = RingPlanner(try RingLayout.even(over: Self.shards(1), vnodesEach: 4))
        #expect(throws: RingError.lastShard(ShardID("shard-0"))) { try planner.remove(ShardID("shard-0")) }
        #expect(throws: RingError.unknownShard(ShardID("x"))) { try planner.remove(ShardID("x")) }
        #expect(throws: RingError.duplicateShard(ShardID("shard-0"))) { try planner.add(ShardID("shard-0")) }
    }

    /// Whatever was done to a ring, it is whole, and its table finds what its vnodes say.
    @Test func anyRunOfOperationsLeavesAWholeRing() throws {
        try withSeed { (generator: inout SeededGenerator) throws in
            for _ in 0..<20 {
                let start = try RingLayout.even(
                    over: Self.shards(Int.random(in: 1...5, using: &generator)), vnodesEach: Int.random(in: 1...20, using: &generator))
                var planner = RingPlanner(start)
                for number in 0..<30 {
                    let shards = planner.layout.shards
                    let some = shards.randomElement(using: &generator)!
                    let other = shards.randomElement(using: &generator)!
                    switch Int.random(in: 0..<6, using: &generator) {
                    case 0 where shards.count < 12: try planner.add(ShardID("added-\(number)"))
                    case 1 where shards.count > 1: try planner.remove(some)
                    case 2 where some != other && shards.count > 2: try planner.merge(some, into: other)
                    case 3 where shards.count < 12: try planner.split(some, into: ShardID("split-\(number)"))
                    case 4:
                        guard let vnode = planner.layout.vnodes[some]!.randomElement(using: &generator) else { continue }
                        try planner.cut(vnode: vnode.id)
                    default:
                        let moved = planner.layout.vnodes[some]!.map(\.id).filter { _ in Bool.random(using: &generator) }
                        try planner.move(vnodes: moved, from: some, to: other)
                    }
                }
                let layout = try RingLayout(planner.layout.vnodes)
                #expect(layout == planner.layout)
                #expect(try start.applying(planner.steps) == layout)
                let ring = try HashRing(layout.shards.map { layout.vnodes[$0]! })
                let tokens = RingFixtures.tellingTokens(ring, &generator)
                #expect(tokens.first { ring.owner(of: $0) != ring.ownerByScan(of: $0) } == nil)
            }
        }
    }
}
