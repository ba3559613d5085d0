import ShardModel
import TestKit
import Testing
import TransferCore

@Suite struct RowDestinationsTests {
    @Test func everyTokenGoesWhereTheRingsSay() throws {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<50 {
            // Four shards before and after, each vnode with an owner by chance.
            let vnodes = RingCut.even(over: 1, vnodesEach: 40, after: 0)[0]
            let owners = vnodes.map { _ in (Int.random(in: 0..<4, using: &random), Int.random(in: 0..<4, using: &random)) }
            let parts = { (owner: ((Int, Int)) -> Int) in (0..<4).map { shard in zip(vnodes, owners).filter { owner($0.1) == shard }.map(\.0) } }
            let destinations = RowDestinations(
                of: ShardIndex(1), to: [ShardIndex(3), ShardIndex(0)], before: try HashRing(parts { $0.0 }), after: try HashRing(parts { $0.1 }))
            for (vnode, owner) in zip(vnodes, owners) {
                for token in [vnode.range.start, vnode.range.end, UInt64.random(in: vnode.range.start...vnode.range.end, using: &random)] {
                    let expected: RowDestinations.Place =
                        switch owner {
                        case (1, 1): .stays
                        case (1, 3): .moves(to: 0)
                        case (1, 0): .moves(to: 1)
                        default: .misplaced
                        }
                    #expect(destinations.place(of: Token(token)) == expected)
                }
            }
        }
    }
}
