internal import CPGQuery
internal import PGTypes
internal import SQLSyntax

/// A type named in a cast, as far as keys care.
struct TypeFamily {
    /// nil: a cast to it leaves the key's rules of comparison.
    var keyType: KeyType?
    var isArray: Bool
    var name: String

    /// nil for what is no plain type name (`%TYPE`, SETOF).
    init?(_ type: UnsafeMutablePointer<PgQuery__TypeName>?) {
        guard let type, type.pointee.setof == 0, type.pointee.pct_type == 0,
            let names = NodeList(type.pointee.n_names, type.pointee.names).strings, let last = names.last
        else { return nil }
        isArray = type.pointee.n_array_bounds > 0
        name = last
        guard names.count == 1 || (names.count == 2 && names[0] == "pg_catalog") else { return }
        switch last {
        case "int2", "int4", "int8": keyType = .integer
        case "uuid": keyType = .uuid
        // varchar(n) cuts the value.
        case "text", "varchar": keyType = type.pointee.n_typmods == 0 ? .text : nil
        default: keyType = nil
        }
    }

    /// Types whose text depends on this server's catalog.
    var isCatalogReference: Bool { name.hasPrefix("reg") || name == "oid" }
    var isTemporal: Bool { Self.temporalNames.contains(name) }

    private static let temporalNames: Set<String> = ["date", "time", "timetz", "timestamp", "timestamptz", "abstime"]

    /// Parameter types that PostgreSQL compares with the key by the key's own rules. 0: undeclared.
    static func scalarOIDs(_ type: KeyType) -> Set<UInt32> {
        switch type {
        case .integer: [0, 20, 21, 23]
        case .uuid: [0, 2950]
        case .text: [0, 25, 1043]
        }
    }
    static func arrayOIDs(_ type: KeyType) -> Set<UInt32> {
        switch type {
        case .integer: [0, 1005, 1007, 1016]
        case .uuid: [0, 2951]
        case .text: [0, 1009, 1015]
        }
    }

    /// Whether a column of this type may take its value from the clock when it is given the text 'now'. Types that are not built in are
    /// not known (a domain may stand for a timestamp).
    static func mayReadClock(_ typeOID: UInt32) -> Bool {
        switch typeOID {
        case 0, 1082, 1083, 1114, 1184, 1266, 1182, 1183, 1115, 1185, 1270, 3908...3913, 4533...4535, 6150...6157: true
        default: typeOID >= 16384
        }
    }
}
