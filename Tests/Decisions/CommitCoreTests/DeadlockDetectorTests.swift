import CommitCore
import ShardModel
import TestKit
import Testing

@Suite struct DeadlockDetectorTests {
    private static func shard(_ number: Int) -> ShardID { ShardID("s\(number)") }

    /// Transaction `number` has process `number` on each of its shards, and came to the second at second `number`.
    private func transaction(_ number: Int32, on shards: [Int], canBeEnded: Bool = true, router: String = "r") -> SpanningTransaction {
        SpanningTransaction(
            id: .init(router: router, start: 1, session: number, work: 1), since: Double(number),
            processes: Dictionary(uniqueKeysWithValues: shards.map { (Self.shard($0), number) }), canBeEnded: canBeEnded)
    }

    private func wait(_ process: Int32, on shard: Int, for blockers: Set<Int32>, since: String = "a") -> LockWait {
        LockWait(shard: Self.shard(shard), process: process, since: since, blockers: blockers)
    }

    private func sessions(_ victims: [SpanningTransaction]) -> [Int32] { victims.map(\.id.session).sorted() }

    private func twice(_ transactions: [SpanningTransaction], _ waits: [LockWait]) -> [Int32] {
        var detector = DeadlockDetector()
        #expect(detector.look(transactions, waits).isEmpty)
        return sessions(detector.look(transactions, waits))
    }

    @Test func ofTwoThatWaitForEachOtherTheYoungerEnds() {
        let two = [transaction(1, on: [1, 2]), transaction(2, on: [1, 2])]
        #expect(twice(two, [wait(1, on: 2, for: [2]), wait(2, on: 1, for: [1])]) == [2])
    }

    @Test func oneOfARingEndsAndOneOfEachOfTwo() {
        let ring = (1...3).map { transaction(Int32($0), on: [$0, $0 % 3 + 1]) }
        let waits = (1...3).map { wait(Int32($0), on: $0 % 3 + 1, for: [Int32($0 % 3 + 1)]) }
        #expect(twice(ring, waits) == [3])
        let others = [transaction(4, on: [4, 5]), transaction(5, on: [4, 5])]
        #expect(twice(ring + others, waits + [wait(4, on: 5, for: [5]), wait(5, on: 4, for: [4])]) == [3, 5])
    }

    @Test func aCircleGoesThroughTransactionsOfOneShard() {
        let two = [transaction(1, on: [1, 2]), transaction(2, on: [1, 2])]
        #expect(twice(two, [wait(1, on: 2, for: [7]), wait(7, on: 2, for: [8]), wait(8, on: 2, for: [2]), wait(2, on: 1, for: [1])]) == [2])
    }

    @Test func whatPostgreSQLSeesIsLeftToIt() {
        let two = [transaction(1, on: [1, 2]), transaction(2, on: [1, 2])]
        #expect(twice(two, [wait(1, on: 1, for: [2]), wait(2, on: 1, for: [1])]) == [])
        #expect(twice([], [wait(1, on: 1, for: [2]), wait(2, on: 1, for: [1])]) == [])
    }

    @Test func aChainIsNoCircle() {
        let three = (1...3).map { transaction(Int32($0), on: [1, 2, 3]) }
        #expect(twice(three, [wait(1, on: 1, for: [2]), wait(2, on: 2, for: [3]), wait(3, on: 3, for: [0, 9])]) == [])
    }

    @Test func processesOfOneNumberOnTwoShardsAreTwo() {
        #expect(twice([transaction(1, on: [1, 2])], [wait(1, on: 1, for: [5]), wait(5, on: 2, for: [1])]) == [])
    }

    /// The one that cannot be ended is passed over; where nobody can be, nobody is.
    @Test func onlyWhatCanBeEndedIs() {
        let waits = [wait(1, on: 2, for: [2]), wait(2, on: 1, for: [1])]
        #expect(twice([transaction(1, on: [1, 2]), transaction(2, on: [1, 2], canBeEnded: false)], waits) == [1])
        #expect(twice([transaction(1, on: [1, 2], canBeEnded: false), transaction(2, on: [1, 2], canBeEnded: false)], waits) == [])
    }

    @Test func whatOneLookShowsAloneIsNothing() {
        let two = [transaction(1, on: [1, 2]), transaction(2, on: [1, 2])]
        let (there, back) = (wait(1, on: 2, for: [2]), wait(2, on: 1, for: [1]))
        var detector = DeadlockDetector()
        #expect(detector.look(two, [there]).isEmpty)
        #expect(detector.look(two, [back]).isEmpty)
        // Again, but another wait by now.
        #expect(detector.look(two, [there, wait(2, on: 1, for: [1], since: "b")]).isEmpty)
        #expect(detector.look(two, [there, back]).isEmpty)
        // Another piece of work of the same session, on the same processes.
        var later = two
        later[1].id.work = 2
        #expect(detector.look(later, [there, back]).isEmpty)
        #expect(sessions(detector.look(later, [there, back])) == [2])
    }

    /// Whatever the graph: behind the end of the victims no circle over two shards is left, and without one nobody is a victim.
    @Test func noCircleIsLeft() {
        withSeed { random in noCircleIsLeft(&random) }
    }

    private func noCircleIsLeft(_ random: inout SeededGenerator) {
        var ended = 0
        for _ in 0..<500 {
            let transactions = (1...6).map { transaction(Int32($0), on: [1, 2, 3]) }
            let waits = transactions.compactMap { one -> LockWait? in
                guard Int.random(in: 0..<3, using: &random) > 0 else { return nil }
                let blocker = Int32.random(in: 1...6, using: &random)
                return wait(one.id.session, on: Int.random(in: 1...3, using: &random), for: blocker == one.id.session ? [0] : [blocker])
            }
            let victims = twice(transactions, waits)
            ended += victims.count
            // Each waits for one other at most, so that following them finds every circle.
            let next = Dictionary(uniqueKeysWithValues: waits.compactMap { one in one.blockers.first { $0 != 0 }.map { (one.process, ($0, one.shard)) } })
            var circles: [Set<Int32>: Set<ShardID>] = [:]
            for start in next.keys {
                var (path, shards, at) = (Set<Int32>(), Set<ShardID>(), start)
                while let (to, shard) = next[at], path.insert(at).inserted {
                    shards.insert(shard)
                    at = to
                }
                if at == start, next[at] != nil { circles[path] = shards }
            }
            let dead = circles.filter { $0.value.count > 1 }.keys
            #expect(victims == dead.compactMap { $0.max() }.sorted())
        }
        #expect(ended > 50)
    }
}
