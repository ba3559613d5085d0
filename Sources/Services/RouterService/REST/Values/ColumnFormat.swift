/// How the text of a column's values becomes JSON.
enum ColumnFormat: Hashable {
    /// int2, int4, int8, oid: a JSON integer with the same digits.
    case integer
    /// float4, float8: a JSON number, or a string for NaN and the infinities, which JSON does not have.
    case float
    case bool
    /// json, jsonb: as it is.
    case json
    /// Everything else, numeric among it: a JSON string with PostgreSQL's text.
    case text

    init(typeOID: UInt32) {
        switch typeOID {
        case 20, 21, 23, 26: self = .integer
        case 700, 701: self = .float
        case 16: self = .bool
        case 114, 3802: self = .json
        default: self = .text
        }
    }
}
