import ShardModel
import TestKit
import Testing

@Suite struct HashRingTests {
    @Test func lookupEqualsAScanOfTheVNodes() throws {
        try withSeed { (generator: inout SeededGenerator) throws in
            for _ in 0..<200 {
                let shards = Int.random(in: 1...12, using: &generator)
                let ring = try HashRing(RingFixtures.random(shards: shards, vnodesMax: 60, &generator))
                let tokens = RingFixtures.tellingTokens(ring, &generator)
                #expect(tokens.first { ring.owner(of: $0) != ring.ownerByScan(of: $0) } == nil)
                #expect(tokens.first { !ring.vnode(of: $0).range.contains($0) } == nil)
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 7, 16, 100, 255])
    func lookupEqualsAScanOfEvenAndOfShuffledRings(shards: Int) throws {
        try withSeed { (generator: inout SeededGenerator) throws in
            for vnodes in [RingCut.even(over: shards, vnodesEach: 16, after: 0), RingFixtures.shuffled(shards: shards, vnodesEach: 16, &generator)] {
                let ring = try HashRing(vnodes)
                let tokens = RingFixtures.tellingTokens(ring, &generator).shuffled(using: &generator).prefix(2000)
                #expect(tokens.first { ring.owner(of: $0) != ring.ownerByScan(of: $0) } == nil)
            }
        }
    }

    /// All borders within one bucket, as repeated cuts of the same vnode leave them.
    @Test func aCrowdOfTinyVNodesIsFound() throws {
        var vnodes: [[VNode]] = [[], [], []]
        for position in 0..<300 {
            let start = position == 0 ? 0 : UInt64(1) << 40 | UInt64(position)
            let end = position == 299 ? UInt64.max : (UInt64(1) << 40 | UInt64(position + 1)) - 1
            vnodes[position % 3].append(VNode(id: UInt32(position), range: TokenRange(start...end)))
        }
        let ring = try HashRing(vnodes)
        for position in 0..<300 {
            #expect(ring.owner(of: Token(UInt64(1) << 40 | UInt64(position))) == ShardIndex(position % 3))
        }
        #expect(ring.owner(of: Token(0)) == ShardIndex(0))
        #expect(ring.owner(of: Token(.max)) == ShardIndex(2))
    }

    @Test func neighboursOfOneOwnerAreFolded() throws {
        #expect(try HashRing(RingCut.even(over: 4, vnodesEach: 256, after: 0)).rangeCount == 4)
    }

    @Test func aShardMayOwnNothing() throws {
        let ring = try HashRing([[], [VNode(id: 1, range: .whole)], []])
        #expect(ring.owner(of: Token(7)) == ShardIndex(1))
        #expect(ring.share(of: ShardIndex(0)) == 0)
        #expect(ring.share(of: ShardIndex(1)) == 1)
    }

    @Test func vnodesInAnyOrderMakeTheSameRing() throws {
        let even = RingCut.even(over: 3, vnodesEach: 8, after: 0)
        let ring = try HashRing(even.map { $0.reversed() })
        #expect(ring.vnodesByShard == even)
    }

    // MARK: What is no ring

    private static func vnode(_ start: UInt64, _ end: UInt64) -> VNode { VNode(id: UInt32(start % 1000), range: TokenRange(start...end)) }

    static let refused: [([[VNode]], RingError)] = [
        ([], .empty),
        ([[], []], .empty),
        ([[vnode(1, .max)]], .gap(at: Token(0))),
        ([[vnode(0, 9)], [vnode(11, .max)]], .gap(at: Token(10))),
        ([[vnode(0, 9), vnode(10, .max - 1)]], .gap(at: Token(.max))),
        ([[vnode(0, 10)], [vnode(10, .max)]], .overlap(at: Token(10))),
        ([[vnode(0, .max)], [vnode(.max, .max)]], .overlap(at: Token(.max))),
        ([[vnode(0, .max)], [vnode(0, .max)]], .overlap(at: Token(0))),
        ([[vnode(0, 9), vnode(5, 7), vnode(10, .max)]], .overlap(at: Token(5))),
    ]

    @Test(arguments: refused)
    func gapsAndOverlapsAreRefused(vnodes: [[VNode]], error: RingError) {
        #expect(throws: error) { try HashRing(vnodes) }
    }

    @Test func moreShardsThanTheTableCanNameAreRefused() throws {
        var vnodes = [[VNode]](repeating: [], count: HashRing.shardsMax)
        vnodes[HashRing.shardsMax - 1] = [VNode(id: 1, range: .whole)]
        #expect(try HashRing(vnodes).owner(of: Token(1)) == ShardIndex(HashRing.shardsMax - 1))
        #expect(throws: RingError.tooManyShards(HashRing.shardsMax + 1)) { try HashRing(vnodes + [[]]) }
    }
}
