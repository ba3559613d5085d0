package import ShardModel

/// Finds transactions of several shards that wait for each other, which no PostgreSQL can see, and says which are to be ended.
///
/// The servers cannot be asked at one moment. But a wait that two looks show, with the same beginning, has lasted from the one to the other; so what both show was so,
/// all of it, at each moment between the end of the first look and the beginning of the second: a circle of such waits is a deadlock, never the shadow of one.
package struct DeadlockDetector: Sendable {
    /// A transaction of several shards is one point of the graph, whichever of its processes waits.
    private enum Point: Hashable {
        case transaction(SpanningTransaction.ID)
        /// Of a transaction of one shard.
        case process(ShardID, Int32)
    }

    /// Whoever waits, on which shard, for whom.
    private struct Wait: Hashable {
        var from: Point
        var shard: ShardID
        var to: Point
    }

    private var lastTransactions: [SpanningTransaction.ID: SpanningTransaction] = [:]
    private var lastWaits: [LockWait.Key: LockWait] = [:]

    package init() {}

    /// What one look has shown: transactions, and waits of their processes and of those that they wait for. All of a look is asked behind all of the one before it.
    ///
    /// Returns the transactions to be ended, so that no deadlock over several shards is left. Those of one shard are its PostgreSQL's to end.
    package mutating func look(_ transactions: [SpanningTransaction], _ waits: [LockWait]) -> [SpanningTransaction] {
        let stillOpen = transactions.filter { lastTransactions[$0.id] == $0 }
        let stillWaiting = waits.compactMap { wait in lastWaits[wait.key].map { wait.blockers.intersection($0.blockers) }.map { (wait, $0) } }
        lastTransactions = Dictionary(transactions.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        lastWaits = Dictionary(waits.map { ($0.key, $0) }, uniquingKeysWith: { $1 })

        var owners: [ShardID: [Int32: SpanningTransaction.ID]] = [:]
        for transaction in stillOpen { for (shard, process) in transaction.processes { owners[shard, default: [:]][process] = transaction.id } }
        func point(_ shard: ShardID, _ process: Int32) -> Point { owners[shard]?[process].map { .transaction($0) } ?? .process(shard, process) }
        var left = Set(
            stillWaiting.flatMap { wait, blockers in
                blockers.filter { $0 != 0 }.map { Wait(from: point(wait.shard, wait.process), shard: wait.shard, to: point(wait.shard, $0)) }
            })
        var victims: [SpanningTransaction] = []
        var candidates = stillOpen.filter(\.canBeEnded)
        while true {
            let circles = Self.circles(of: left).filter { Set($0.map(\.shard)).count > 1 }
            let found = circles.lazy.compactMap { circle in Self.youngest(of: candidates, in: circle) }.first
            guard let victim = found else { return victims }
            victims.append(victim)
            candidates.removeAll { $0.id == victim.id }
            left = left.filter { $0.from != .transaction(victim.id) && $0.to != .transaction(victim.id) }
        }
    }

    /// The one that has done least, presumably. Every router that sees the circle chooses the same.
    private static func youngest(of candidates: [SpanningTransaction], in circle: [Wait]) -> SpanningTransaction? {
        let points = Set(circle.map(\.from))
        return candidates.filter { points.contains(.transaction($0.id)) }.max { ($0.since, $0.id) < ($1.since, $1.id) }
    }

    /// The waits within each set of points of which each can be reached from each other.
    private static func circles(of waits: Set<Wait>) -> [[Wait]] {
        let next = Dictionary(grouping: waits, by: \.from).mapValues { Set($0.map(\.to)) }
        var reachable: [Point: Set<Point>] = [:]
        for start in next.keys {
            var found: Set<Point> = []
            var open = Array(next[start] ?? [])
            while let point = open.popLast() { if found.insert(point).inserted { open += next[point] ?? [] } }
            reachable[start] = found
        }
        var circles: [[Wait]] = []
        var seen: Set<Point> = []
        for start in next.keys where reachable[start]?.contains(start) == true && seen.insert(start).inserted {
            let members = Set((reachable[start] ?? []).filter { reachable[$0]?.contains(start) == true })
            seen.formUnion(members)
            circles.append(waits.filter { members.contains($0.from) && members.contains($0.to) })
        }
        return circles
    }
}

extension LockWait {
    fileprivate struct Key: Hashable {
        var shard: ShardID
        var process: Int32
        var since: String
    }

    fileprivate var key: Key { Key(shard: shard, process: process, since: since) }
}
