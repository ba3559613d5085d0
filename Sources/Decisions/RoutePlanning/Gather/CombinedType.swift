/// A type of PostgreSQL's own whose values can be given to a shard in an array.
package struct CombinedType: Hashable, Sendable {
    enum Comparison: Hashable, Sendable {
        /// Equality and order are the type's own.
        case byValue
        /// Equal are the same characters (under every deterministic collation); the order is a collation's.
        case asText
        /// Not looked into.
        case none
    }
    let comparison: Comparison
    package let arrayOID: UInt32

    /// nil: a type without a rule. Arrays are none: an array of them is an array of their elements.
    package init?(oid: UInt32) {
        guard let type = Self.types[oid] else { return nil }
        self = type
    }

    private init(_ comparison: Comparison, _ arrayOID: UInt32) {
        self.comparison = comparison
        self.arrayOID = arrayOID
    }

    /// The types that sum() gives exactly, whatever the order: bigint, numeric, interval, money.
    static let summed: Set<UInt32> = [20, 1700, 1186, 790]

    /// Those of them that avg() gives exactly from sum and count: of integers, numeric, interval.
    static let averaged: Set<UInt32> = [20, 1700, 1186]

    private static let types: [UInt32: CombinedType] = {
        var types: [UInt32: CombinedType] = [:]
        let groups: [(Comparison, [(UInt32, UInt32)])] = [
            // boolean, bytea, smallint, integer, bigint, numeric, real, double precision, money, oid, uuid, jsonb
            (.byValue, [(16, 1000), (17, 1001), (21, 1005), (23, 1007), (20, 1016), (1700, 1231), (700, 1021), (701, 1022), (790, 791), (26, 1028), (2950, 2951), (3802, 3807)]),
            // date, time, timetz, timestamp, timestamptz, interval, inet, cidr, macaddr, macaddr8, bit, varbit
            (.byValue, [(1082, 1182), (1083, 1183), (1266, 1270), (1114, 1115), (1184, 1185), (1186, 1187), (869, 1041), (650, 651), (829, 1040), (774, 775), (1560, 1561), (1562, 1563)]),
            // text, char(n), varchar, name
            (.asText, [(25, 1009), (1042, 1014), (1043, 1015), (19, 1003)]),
            // json, point
            (.none, [(114, 199), (600, 1017)]),
        ]
        for (comparison, pairs) in groups {
            for (oid, array) in pairs { types[oid] = CombinedType(comparison, array) }
        }
        return types
    }()
}
