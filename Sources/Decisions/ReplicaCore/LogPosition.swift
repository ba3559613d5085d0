/// A place in a server's write-ahead log, PostgreSQL's `pg_lsn`. Only positions of one server and its replicas can be compared.
package struct LogPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }

    /// Reads `16/B374D848`; nil where the text is none.
    package init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let high = Self.half(parts[0]), let low = Self.half(parts[1]) else { return nil }
        value = UInt64(high) << 32 | UInt64(low)
    }

    private static func half(_ text: Substring) -> UInt32? {
        guard (1...8).contains(text.utf8.count), text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        return UInt32(text, radix: 16)
    }

    package static func < (a: LogPosition, b: LogPosition) -> Bool { a.value < b.value }

    package var description: String {
        String(value >> 32, radix: 16, uppercase: true) + "/" + String(value & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }
}

/// Where a primary's log ends, as its own functions tell it.
package struct PrimaryLog: Hashable, Sendable {
    /// `pg_current_wal_insert_lsn()`: behind every record there is, also those of commits that were acknowledged before they reached the disk.
    package var insert: LogPosition
    /// `pg_current_wal_flush_lsn()`: what replicas can have.
    package var flush: LogPosition
    /// `wal_block_size`, and `wal_segment_size` in bytes.
    package var pageSize: UInt64
    package var segmentSize: UInt64

    package init(insert: LogPosition, flush: LogPosition, pageSize: UInt64, segmentSize: UInt64) {
        self.insert = insert
        self.flush = flush
        self.pageSize = pageSize
        self.segmentSize = segmentSize
    }

    /// The end of the last record: a replica that has replayed up to here has everything.
    ///
    /// The insert position is where the next record will begin. Behind a full page (and behind each change of segment, which may come every few
    /// minutes on a server that nobody writes to) that is after the next page's header, where no replica arrives before there is a record again.
    /// A header is 24 bytes, or 40 at the start of a segment (xlog_internal.h), and no record is so short that it could end there.
    package var end: LogPosition {
        guard pageSize > 0, segmentSize > 0, insert > flush, flush.value % pageSize == 0 else { return insert }
        let header: UInt64 = flush.value % segmentSize == 0 ? 40 : 24
        return insert.value - flush.value == header ? flush : insert
    }
}
