package import ShardModel

/// Where a shard's rows are to be when some of its vnodes have moved.
package struct RowDestinations: Sendable {
    package enum Place: Hashable, Sendable {
        case stays
        /// To the target at this position of `targets`.
        case moves(to: Int)
        /// By the ring as it is, the row is on the wrong shard already.
        case misplaced
    }

    package let source: ShardIndex
    package let targets: [ShardIndex]
    private let before: HashRing
    private let after: HashRing
    /// By `ShardIndex` of the ring after: position in `targets`, or one of the two marks.
    private let positions: [Int32]
    private static let stays: Int32 = -1
    private static let unexpected: Int32 = -2

    /// The rows of `source` in `before`, where `after` says who owns them then. Both rings number the same shards alike.
    ///
    /// Precondition: `targets` are distinct, and `source` is none of them.
    package init(of source: ShardIndex, to targets: [ShardIndex], before: HashRing, after: HashRing) {
        precondition(Set(targets).count == targets.count && !targets.contains(source), "targets are distinct, and not the source")
        self.source = source
        self.targets = targets
        self.before = before
        self.after = after
        var positions = [Int32](repeating: Self.unexpected, count: max(before.vnodesByShard.count, after.vnodesByShard.count))
        positions[source.value] = Self.stays
        for (position, target) in targets.enumerated() { positions[target.value] = Int32(position) }
        self.positions = positions
    }

    package func place(of token: Token) -> Place {
        guard before.owner(of: token) == source else { return .misplaced }
        let position = positions[after.owner(of: token).value]
        if position >= 0 { return .moves(to: Int(position)) }
        return position == Self.stays ? .stays : .misplaced
    }
}
