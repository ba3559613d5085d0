import ShardModel

/// The owner of random tokens: a ring of many shards against one of four.
struct LookupComparisons {
    private static let passes = 64
    private let tokens: [Token]

    init(_ generator: inout some RandomNumberGenerator) {
        // 32 KiB, so that the tokens themselves leave the caches to the table.
        tokens = (0..<4096).map { _ in Token(UInt64.random(in: .min ... .max, using: &generator)) }
    }

    func all(_ generator: inout some RandomNumberGenerator) throws(RingError) -> [Comparison] {
        let small = try HashRing(RingCut.even(over: 4, vnodesEach: 256, after: 0))
        let smallShuffled = try HashRing(Self.shuffled(shards: 4, &generator))
        let large = try HashRing(RingCut.even(over: 4096, vnodesEach: 256, after: 0))
        let odd = try HashRing(RingCut.even(over: 4001, vnodesEach: 256, after: 0))
        let largeShuffled = try HashRing(Self.shuffled(shards: 4096, &generator))
        return [
            comparison("lookup, 4096 shards x 256 vnodes / 4 x 256, each shard one range", goal: 1.2, large, small),
            comparison("lookup, 4001 shards x 256 vnodes / 4 x 256, each shard one range", goal: 1.2, odd, small),
            dependent("lookup that waits for the one before, 4096 x 256 / 4 x 256", large, small),
            comparison("lookup, 4096 x 256 / 4 x 256, vnodes dealt at random", largeShuffled, smallShuffled),
            dependent("lookup that waits, 4096 x 256 / 4 x 256, vnodes dealt at random", largeShuffled, smallShuffled),
        ]
    }

    /// Milliseconds that a new epoch's ring of 4,096 x 256 vnodes takes to build.
    static func buildTime() throws(RingError) -> Double {
        let vnodes = RingCut.even(over: 4096, vnodesEach: 256, after: 0)
        var times: [Double] = []
        for _ in 0..<5 {
            let start = cpuTime()
            keep(try HashRing(vnodes).rangeCount)
            times.append(Double(cpuTime() - start) / 1e6)
        }
        return median(times)
    }

    private static func shuffled(shards: Int, _ generator: inout some RandomNumberGenerator) -> [[VNode]] {
        let all = RingCut.even(over: shards, vnodesEach: 256, after: 0).joined().shuffled(using: &generator)
        return (0..<shards).map { all[($0 * 256)..<(($0 + 1) * 256)].sorted { $0.range.start < $1.range.start } }
    }

    private func comparison(_ name: String, goal: Double? = nil, _ subject: HashRing, _ baseline: HashRing) -> Comparison {
        Comparison(
            name: name, goal: goal, count: tokens.count * Self.passes, baseline: { sum(baseline) }, subject: { sum(subject) })
    }

    private func dependent(_ name: String, _ subject: HashRing, _ baseline: HashRing) -> Comparison {
        Comparison(
            name: name, count: tokens.count * Self.passes, baseline: { walk(baseline) }, subject: { walk(subject) })
    }

    @inline(never)
    private func sum(_ ring: HashRing) -> Int {
        var sum = 0
        for _ in 0..<Self.passes {
            for token in tokens { sum &+= ring.owner(of: token).value }
        }
        return sum
    }

    /// Each token depends on the owner found before, and on the pass, so that nothing overlaps and few tokens come twice.
    @inline(never)
    private func walk(_ ring: HashRing) -> Int {
        var last = 0
        for pass in 0..<UInt64(Self.passes) {
            for token in tokens {
                let next = token.value ^ pass &* 0x9e37_79b9_7f4a_7c15
                last = ring.owner(of: Token(next ^ UInt64(truncatingIfNeeded: last & 1))).value
            }
        }
        return last
    }
}
