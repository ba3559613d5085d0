/// A moment on the caller's monotonic clock, in nanoseconds; only differences mean something.
///
/// Eight bytes instead of the sixteen of `ContinuousClock.Instant`, and the unit NIO's deadlines count in.
package struct PoolInstant: Hashable, Comparable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static func < (a: PoolInstant, b: PoolInstant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Saturates at the far future: an endless timeout is `Duration` larger than any process lives.
    package static func + (a: PoolInstant, b: PoolNanoseconds) -> PoolInstant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.count)
        return PoolInstant(nanoseconds: overflow ? .max : sum)
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    package func elapsed(since earlier: PoolInstant) -> PoolNanoseconds {
        PoolNanoseconds(nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0)
    }
}

/// A `Duration` brought down to one machine word, so that the hot path compares integers.
package struct PoolNanoseconds: Hashable, Comparable, Sendable {
    package let count: UInt64

    package init(_ count: UInt64) { self.count = count }

    /// Negative durations become zero, those beyond 584 years endless.
    package init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { self.count = 0; return }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
        count = overflow || carry ? .max : sum
    }

    package static func < (a: PoolNanoseconds, b: PoolNanoseconds) -> Bool { a.count < b.count }
}
