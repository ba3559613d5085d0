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
    private let ranges: TokenRanges

    /// nil: none, or two that hold one token.
    package init?(_ moves: [Move]) {
        let sorted = moves.sorted { $0.range.start < $1.range.start }
        guard !sorted.isEmpty, zip(sorted, sorted.dropFirst()).allSatisfy({ $0.range.end < $1.range.start }) else { return nil }
        self.moves = sorted
        ranges = TokenRanges(sorted.map(\.range))
    }

    /// nil: the token stays on the source, or was never there.
    package func target(of token: Token) -> ShardID? { ranges.position(of: token).map { moves[$0].target } }

    /// Sorted.
    package var targets: [ShardID] { Set(moves.map(\.target)).sorted() }

    package func ranges(to target: ShardID) -> [TokenRange] { moves.filter { $0.target == target }.map(\.range) }
}
