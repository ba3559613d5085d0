extension HashRing {
    /// The shard that owns `token`.
    ///
    /// Cost:   one read of the table; where several small ranges share a bucket, a search among these. Independent of the number of shards.
    /// Throws: never. Every token has one owner: `HashRing.init` refuses anything else.
    @inlinable
    package func owner(of token: Token) -> ShardIndex {
        let entry = table.entries[Int(truncatingIfNeeded: token.value &>> table.shift)]
        let offset = UInt32(truncatingIfNeeded: (token.value &<< table.bits) &>> 32)
        let border = UInt32(truncatingIfNeeded: entry)
        // A shift instead of a branch: which side of the border a key falls is a coin toss that no predictor learns.
        let owner = UInt16(truncatingIfNeeded: entry &>> (offset > border ? 48 : 32))
        if owner == LookupTable.crowded || offset == border { return search(token, entry) }
        return ShardIndex(Int(owner))
    }

    /// The rare cases: a bucket with more than one border, or a token too close to a border for the bits that the table keeps of it.
    @usableFromInline @inline(never)
    func search(_ token: Token, _ entry: UInt64) -> ShardIndex {
        var low = 0
        var high = starts.count
        if UInt16(truncatingIfNeeded: entry &>> 32) == LookupTable.crowded {
            let crowd = table.crowds[Int(UInt32(truncatingIfNeeded: entry))]
            low = Int(crowd.first)
            high = Int(crowd.last) + 1
        }
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= token.value { low = middle } else { high = middle }
        }
        return ShardIndex(Int(owners[low]))
    }

    /// The owner, from the vnodes alone: what `owner(of:)` is tested against.
    package func ownerByScan(of token: Token) -> ShardIndex? {
        vnodesByShard.firstIndex { $0.contains { $0.range.contains(token) } }.map(ShardIndex.init)
    }
}

/// The owner of each of 2^bits equal buckets of tokens, by the token's top bits.
///
/// There are at least as many buckets as folded ranges, so that an even ring never has more than one border in a bucket. An entry answers in one
/// read of 8 bytes then: the owner before the border (bits 32 ... 47), the owner from it on (48 ... 63), and the border itself as the 32 bits
/// that follow the bucket's own (0 ... 31). A bucket without a border inside has one owner twice and border 0. A bucket with several has
/// `crowded` for both owners, and in place of the border an index into `crowds`.
@usableFromInline
struct LookupTable: Sendable {
    /// The ranges that meet one bucket, both included.
    @usableFromInline
    struct Crowd: Sendable {
        @usableFromInline var first: UInt32
        @usableFromInline var last: UInt32
    }
    @usableFromInline static let crowded = UInt16.max

    @usableFromInline let entries: [UInt64]
    @usableFromInline let crowds: [Crowd]
    /// 1 ... 63
    @usableFromInline let bits: UInt64
    /// 64 - bits
    @usableFromInline let shift: UInt64

    /// Finer tables than needed are tried up to this factor (in bits) while many buckets are crowded.
    private static let refinementMax = 3

    init(starts: [UInt64], owners: [UInt16]) {
        var bits = 1
        while 1 << bits < starts.count { bits += 1 }
        let limit = bits + Self.refinementMax
        while bits < limit, Self.crowdedBuckets(starts, bits: bits) > (1 << bits) / 64 { bits += 1 }
        var builder = Builder(starts: starts, owners: owners, bits: bits)
        builder.fill()
        self.bits = UInt64(bits)
        shift = UInt64(64 - bits)
        entries = builder.entries
        crowds = builder.crowds
    }

    /// How many buckets have more than one border inside.
    private static func crowdedBuckets(_ starts: [UInt64], bits: Int) -> Int {
        let mask = UInt64.max >> UInt64(bits)
        var crowded = 0
        var current: UInt64?
        var borders = 0
        for start in starts where start & mask != 0 {
            let bucket = start >> UInt64(64 - bits)
            borders = bucket == current ? borders + 1 : 1
            current = bucket
            if borders == 2 { crowded += 1 }
        }
        return crowded
    }

    private struct Builder {
        let starts: [UInt64]
        let owners: [UInt16]
        let bits: Int
        var entries: [UInt64] = []
        var crowds: [Crowd] = []

        init(starts: [UInt64], owners: [UInt16], bits: Int) {
            self.starts = starts
            self.owners = owners
            self.bits = bits
            entries.reserveCapacity(1 << bits)
        }

        mutating func fill() {
            // The range that holds the bucket's first token, and the one that holds its last.
            var first = 0
            for bucket in 0..<(UInt64(1) << UInt64(bits)) {
                let end = bucket << UInt64(64 - bits) | UInt64.max >> UInt64(bits)
                var last = first
                while last + 1 < starts.count, starts[last + 1] <= end { last += 1 }
                entries.append(entry(first, last))
                first = last
                if first + 1 < starts.count, end != .max, starts[first + 1] == end + 1 { first += 1 }
            }
        }

        private mutating func entry(_ first: Int, _ last: Int) -> UInt64 {
            switch last - first {
            case 0:
                return UInt64(owners[first]) << 48 | UInt64(owners[first]) << 32
            case 1:
                let border = UInt32(truncatingIfNeeded: (starts[last] << UInt64(bits)) >> 32)
                return UInt64(owners[last]) << 48 | UInt64(owners[first]) << 32 | UInt64(border)
            default:
                crowds.append(Crowd(first: UInt32(first), last: UInt32(last)))
                return UInt64(crowded) << 48 | UInt64(crowded) << 32 | UInt64(crowds.count - 1)
            }
        }
    }
}
