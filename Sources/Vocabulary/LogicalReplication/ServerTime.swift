/// A server's clock: microseconds since 2000-01-01 00:00 UTC, PostgreSQL's TimestampTz.
package struct ServerTime: Hashable, Comparable, Sendable {
    package let microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }

    /// Seconds from 1970-01-01 to 2000-01-01.
    private static let epochOffset: Int64 = 946_684_800

    /// Seconds since 1970-01-01 UTC.
    package init(unixSeconds: Double) {
        let microseconds = (unixSeconds - Double(Self.epochOffset)) * 1e6
        // A clock that is off by 290,000 years is no reason to trap.
        self.microseconds = Int64(exactly: microseconds.rounded()) ?? (microseconds > 0 ? .max : .min)
    }

    package var unixSeconds: Double { Double(microseconds) / 1e6 + Double(Self.epochOffset) }

    package static func < (a: ServerTime, b: ServerTime) -> Bool { a.microseconds < b.microseconds }
}

/// A transaction's number on its server. It wraps around: equality means something, order does not.
package struct TransactionID: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt32
    package init(_ value: UInt32) { self.value = value }
    package var description: String { String(value) }
}

/// The object id of a relation on its server: what row messages name it by.
package struct RelationID: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt32
    package init(_ value: UInt32) { self.value = value }
    package var description: String { String(value) }
}
