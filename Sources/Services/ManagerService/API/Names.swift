internal import ControlAPI

/// The rules for names that operators choose.
enum Names {
    /// Ids of shards and routers appear in URLs, metrics and logs: a plain alphabet.
    static func checkID(_ id: String, _ field: String) throws(APIError) {
        let isPlain = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard RequestLimits.idLength.contains(id.utf8.count), isPlain, id != ".", id != ".." else {
            throw APIError(.invalidRequest, "\(field) must have 1 to 63 letters, digits, \"-\", \"_\" or \".\"")
        }
    }

    /// Names that PostgreSQL or a client gives meaning to (databases, users): PostgreSQL's own limit, no control characters.
    static func checkIdentifier(_ name: String, _ field: String) throws(APIError) {
        guard RequestLimits.nameBytes.contains(name.utf8.count), name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw APIError(.invalidRequest, "\(field) must have 1 to 63 bytes without control characters")
        }
        // As a part of a path clients take them for steps, and ask for something else.
        guard name != ".", name != ".." else { throw APIError(.invalidRequest, "\(field) must not be \".\" or \"..\"") }
    }
}
