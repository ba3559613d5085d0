extension Column {
    /// The name of its type without length, scale and the like, as a cast to it is written; nil: such a cast would change values, or it is none of PostgreSQL's own types.
    var castName: String? {
        guard typeOID < Self.userTypeOID else { return nil }
        switch typeOID {
        case 1042: return "pg_catalog.bpchar"
        // character[], bit and bit varying.
        case 1014, 1560, 1561, 1562, 1563: return nil
        // INTERVAL DAY TO SECOND leaves something out.
        case 1186, 1187: return typeName.hasPrefix("interval[]") || typeName == "interval" ? typeName : nil
        default:
            guard let open = typeName.firstIndex(of: "("), let close = typeName.firstIndex(of: ")"), open < close else { return typeName }
            return String(typeName[..<open] + typeName[typeName.index(after: close)...])
        }
    }
}
