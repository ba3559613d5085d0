/// Rows that every shard gives in the order that is asked for, and that the router merges: it knows how PostgreSQL compares each of the keys
/// (docs/decisions/0088-sorted-rows-are-merged-by-the-router.md).
package struct GatherMerge: Hashable, Sendable {
    /// One item of ORDER BY.
    package struct Key: Hashable, Sendable {
        /// The column of a shard's row, from 0.
        package var place: Int
        package var type: MergedType
        package var isDescending: Bool
        package var nullsFirst: Bool

        package init(place: Int, type: MergedType, isDescending: Bool = false, nullsFirst: Bool? = nil) {
            (self.place, self.type, self.isDescending) = (place, type, isDescending)
            // PostgreSQL's default: NULL is larger than any value.
            self.nullsFirst = nullsFirst ?? isDescending
        }
    }

    /// In the order of their weight; none: any order will do.
    package var keys: [Key]
    /// Columns that come before those of the answer, in binary form.
    package var hidden: Int
    /// What the shards are sent in place of the statement's own text.
    package var text: [UInt8]?
}

/// A type whose order the router knows, by how its values are compared.
package enum MergedType: Hashable, Sendable {
    case bool, int2, int4, int8, oid, float4, float8, numeric, date, time, timestamp, timestamptz, uuid, bytea
    /// Compared byte by byte (collation "C", in UTF-8 on both sides).
    case text, varchar

    package init?(oid: UInt32) {
        guard let type = Self.types[oid] else { return nil }
        self = type
    }

    package var oid: UInt32 {
        switch self {
        case .bool: 16
        case .bytea: 17
        case .int8: 20
        case .int2: 21
        case .int4: 23
        case .text: 25
        case .oid: 26
        case .float4: 700
        case .float8: 701
        case .varchar: 1043
        case .date: 1082
        case .time: 1083
        case .timestamp: 1114
        case .timestamptz: 1184
        case .numeric: 1700
        case .uuid: 2950
        }
    }

    var isText: Bool { self == .text || self == .varchar }

    /// Its text form says as much as its value, whatever the session's settings (DateStyle, extra_float_digits, bytea_output) are.
    package var isReadAsText: Bool {
        switch self {
        case .bool, .int2, .int4, .int8, .oid, .numeric, .uuid, .text, .varchar: true
        case .float4, .float8, .date, .time, .timestamp, .timestamptz, .bytea: false
        }
    }

    private static let types: [UInt32: MergedType] = {
        let all: [MergedType] = [.bool, .int2, .int4, .int8, .oid, .float4, .float8, .numeric, .date, .time, .timestamp, .timestamptz, .uuid, .bytea, .text, .varchar]
        return Dictionary(uniqueKeysWithValues: all.map { ($0.oid, $0) })
    }()
}
