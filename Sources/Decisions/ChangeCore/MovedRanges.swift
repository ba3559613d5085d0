package import ShardModel

/// Which tokens a job moves away from one source, and where to.
package struct MovedRanges: Hashable, Sendable {
    package struct Move: Hashable, Sendable, Codable {
        package var range: TokenRange
        package var target: ShardID

        package init(range: TokenRange, target: ShardID) {
            self.range = range
            self.target = target
        }
    }

    /// Sorted by start, without overlap.
    package let moves: [Move]

    /// nil: none, or two that hold one token.
    package init?(_ moves: [Move]) {
        let sorted = moves.sorted { $0.range.start < $1.range.start }
        guard !sorted.isEmpty, zip(sorted, sorted.dropFirst()).allSatisfy({ $0.range.end < $1.range.start }) else { return nil }
        self.moves = sorted
    }

    /// nil: the token stays on the source, or was never there.
    package func target(of token: Token) -> ShardID? {
        var low = 0
        var high = moves.count
        while low < high {
            let middle = (low + high) / 2
            if moves[middle].range.end < token.value { low = middle + 1 } else { high = middle }
        }
        return low < moves.count && moves[low].range.contains(token) ? moves[low].target : nil
    }

    /// Sorted.
    package var targets: [ShardID] { Set(moves.map(\.target)).sorted() }

    package func ranges(to target: ShardID) -> [TokenRange] { moves.filter { $0.target == target }.map(\.range) }
}
