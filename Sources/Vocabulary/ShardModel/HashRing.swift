/// Who owns which tokens of one database: the form that the router asks for every key.
///
/// Immutable. The vnodes are kept as the catalog's records hold them (their arrays are shared, not copied); neighbouring vnodes of one owner
/// are folded into one range. See `HashRing+Lookup.swift` for the table.
package struct HashRing: Sendable {
    /// The most shards a ring can have: an owner takes 16 bits of the table, and one value is a mark.
    package static let shardsMax = Int(UInt16.max)

    /// By `ShardIndex`; each sorted by start.
    package let vnodesByShard: [[VNode]]
    /// How many ranges are left when neighbours of one owner are folded.
    package var rangeCount: Int { starts.count }

    /// The first token of each folded range, ascending; the first is 0.
    @usableFromInline let starts: [UInt64]
    /// The owner of each folded range.
    @usableFromInline let owners: [UInt16]
    @usableFromInline let table: LookupTable

    /// The ring in which the shard at position i owns `vnodesByShard[i]`. A shard may own nothing.
    ///
    /// Throws: unless every token has exactly one owner.
    package init(_ vnodesByShard: [[VNode]]) throws(RingError) {
        guard vnodesByShard.count <= Self.shardsMax else { throw .tooManyShards(vnodesByShard.count) }
        self.vnodesByShard = vnodesByShard.map(Self.sortedByStart)
        let ranges = try Self.folded(self.vnodesByShard)
        starts = ranges.map(\.start)
        owners = ranges.map(\.owner)
        table = LookupTable(starts: starts, owners: owners)
    }

    /// The vnode that holds `token`. Logarithmic in the number of vnodes of one shard.
    package func vnode(of token: Token) -> VNode {
        let vnodes = vnodesByShard[owner(of: token).value]
        var low = 0
        var high = vnodes.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if vnodes[middle].range.start <= token.value { low = middle } else { high = middle }
        }
        return vnodes[low]
    }

    /// The part of all tokens that the shard owns, 0 ... 1.
    package func share(of shard: ShardIndex) -> Double {
        vnodesByShard[shard.value].reduce(0) { $0 + Double($1.range.width) } / Double(TokenRange.whole.width)
    }
}

extension HashRing {
    private struct Run {
        var start: UInt64
        var end: UInt64
        var owner: UInt16
    }

    /// Records are kept sorted, so that this is a check nearly always.
    private static func sortedByStart(_ vnodes: [VNode]) -> [VNode] {
        let isSorted = zip(vnodes, vnodes.dropFirst()).allSatisfy { $0.range.start <= $1.range.start }
        return isSorted ? vnodes : vnodes.sorted { $0.range.start < $1.range.start }
    }

    /// Only whole runs are sorted, not vnodes: a shard's vnodes mostly follow each other.
    private static func folded(_ vnodesByShard: [[VNode]]) throws(RingError) -> [Run] {
        var runs: [Run] = []
        for (owner, vnodes) in vnodesByShard.enumerated() {
            let first = runs.count
            for vnode in vnodes {
                if runs.count > first, runs[runs.count - 1].end != .max, vnode.range.start == runs[runs.count - 1].end + 1 {
                    runs[runs.count - 1].end = vnode.range.end
                } else {
                    runs.append(Run(start: vnode.range.start, end: vnode.range.end, owner: UInt16(owner)))
                }
            }
        }
        runs.sort { $0.start < $1.start }
        try check(runs)
        return runs
    }

    private static func check(_ runs: [Run]) throws(RingError) {
        guard !runs.isEmpty else { throw .empty }
        // Where the next run must start; nil beyond the last token.
        var next: UInt64? = 0
        for run in runs {
            guard let expected = next, run.start >= expected else { throw .overlap(at: Token(run.start)) }
            guard run.start == expected else { throw .gap(at: Token(expected)) }
            next = run.end == .max ? nil : run.end + 1
        }
        if let next { throw .gap(at: Token(next)) }
    }
}
