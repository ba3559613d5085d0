/// How often something took how long: log-linear buckets, so that any quantile is known to 12.5 %.
///
/// A value type for one event loop: `record` is two shifts, two additions and no allocation. Read it elsewhere by copying it on its loop
/// (the copy shares storage; the loop's next `record` pays one copy of 2 kB).
///
/// Buckets: eight to every power of two from 2^10 ns (about 1 µs) to 2^36 ns (about 69 s); one below, one above.
package struct LatencyHistogram: Hashable, Sendable {
    package static let firstPower = 10
    package static let lastPower = 36
    private static let subBucketBits = 3
    private static let subBuckets = 1 << subBucketBits
    private static let bucketCount = (lastPower - firstPower) * subBuckets + 2

    private var buckets: [UInt64]
    package private(set) var count: UInt64 = 0
    /// Nanoseconds; wraps after 584 years of recorded time.
    package private(set) var sum: UInt64 = 0

    package init() { buckets = Array(repeating: 0, count: Self.bucketCount) }

    package mutating func record(nanoseconds: UInt64) {
        buckets[Self.bucket(of: nanoseconds)] &+= 1
        count &+= 1
        sum &+= nanoseconds
    }

    package mutating func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return record(nanoseconds: 0) }
        record(nanoseconds: UInt64(clamping: seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000))
    }

    /// The upper ends belong to their buckets, as Prometheus' `le` has it: hence the minus one.
    private static func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds > 1 << UInt64(firstPower) else { return 0 }
        let value = nanoseconds &- 1
        let power = 63 &- value.leadingZeroBitCount
        guard power < lastPower else { return bucketCount - 1 }
        let sub = Int(truncatingIfNeeded: value &>> UInt64(power &- subBucketBits)) & (subBuckets - 1)
        return (power &- firstPower) &* subBuckets &+ sub &+ 1
    }

    /// The largest value that bucket `index` counts; nil for the one above all.
    private static func upperBound(_ index: Int) -> UInt64? {
        guard index < bucketCount - 1 else { return nil }
        guard index > 0 else { return 1 << UInt64(firstPower) }
        let (octave, sub) = (index - 1).quotientAndRemainder(dividingBy: subBuckets)
        let base = UInt64(1) << UInt64(firstPower + octave)
        return base + (base >> UInt64(subBucketBits)) * UInt64(sub + 1)
    }

    package mutating func merge(_ other: LatencyHistogram) {
        for index in buckets.indices { buckets[index] &+= other.buckets[index] }
        count &+= other.count
        sum &+= other.sum
    }

    /// The upper end, in nanoseconds, of the bucket where `quantile` (0 ... 1) of the values lie at or below; nil when empty.
    /// Values above the range answer with its end, 2^36 ns.
    package func quantile(_ quantile: Double) -> UInt64? {
        guard count > 0 else { return nil }
        let rank = Swift.max(1, UInt64((Double(count) * quantile).rounded(.up)))
        var seen: UInt64 = 0
        for (index, number) in buckets.enumerated() {
            seen += number
            if seen >= rank { return Self.upperBound(index) ?? 1 << UInt64(Self.lastPower) }
        }
        return 1 << UInt64(Self.lastPower)
    }

    /// Cumulative counts at each power of two, for the exposition: (upper end in nanoseconds, values at or below it).
    package var cumulative: [(le: UInt64, count: UInt64)] {
        var seen = buckets[0]
        var result = [(le: UInt64(1) << UInt64(Self.firstPower), count: seen)]
        for octave in 0..<(Self.lastPower - Self.firstPower) {
            let start = octave * Self.subBuckets + 1
            seen += buckets[start..<start + Self.subBuckets].reduce(0, +)
            result.append((le: 1 << UInt64(Self.firstPower + octave + 1), count: seen))
        }
        return result
    }
}
