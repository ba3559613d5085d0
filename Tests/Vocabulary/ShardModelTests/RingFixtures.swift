import ShardModel
import TestKit

/// Rings of any shape for property tests.
enum RingFixtures {
    /// 1 to `vnodesMax` vnodes with random borders (some of them very close to each other) and random owners; every shard's list is sorted.
    static func random(shards: Int, vnodesMax: Int, _ generator: inout SeededGenerator) -> [[VNode]] {
        var borders: Set<UInt64> = []
        for _ in 0..<Int.random(in: 0..<vnodesMax, using: &generator) {
            let border = UInt64.random(in: 1...UInt64.max, using: &generator)
            borders.insert(border)
            if Bool.random(using: &generator) { borders.insert(max(1, border &+ UInt64.random(in: 0...3, using: &generator))) }
        }
        let starts = [0] + borders.sorted()
        var vnodes = [[VNode]](repeating: [], count: shards)
        for (position, start) in starts.enumerated() {
            let end = position + 1 < starts.count ? starts[position + 1] - 1 : .max
            vnodes[Int.random(in: 0..<shards, using: &generator)].append(VNode(id: UInt32(position + 1), range: TokenRange(start...end)))
        }
        return vnodes
    }

    /// Where an error would show: both sides of every border, and tokens from anywhere.
    static func tellingTokens(_ ring: HashRing, _ generator: inout SeededGenerator) -> [Token] {
        var tokens = ring.vnodesByShard.joined().flatMap { vnode in
            [vnode.range.start, vnode.range.start &+ 1, vnode.range.end &- 1, vnode.range.end].map { Token($0) }
        }
        for _ in 0..<200 { tokens.append(Token(generator.next())) }
        return tokens
    }

    /// An even ring whose vnodes were dealt to the shards at random.
    static func shuffled(shards: Int, vnodesEach: Int, _ generator: inout SeededGenerator) -> [[VNode]] {
        var all = Array(RingCut.even(over: shards, vnodesEach: vnodesEach, after: 0).joined())
        all.shuffle(using: &generator)
        return (0..<shards).map { shard in
            all[(shard * vnodesEach)..<((shard + 1) * vnodesEach)].sorted { $0.range.start < $1.range.start }
        }
    }
}
