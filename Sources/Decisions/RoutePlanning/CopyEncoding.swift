/// How the text of COPY data is written, as far as it matters for finding rows and keys in it.
package enum CopyEncoding: Hashable, Sendable {
    /// The shards' own: nothing is converted.
    case utf8
    /// ISO 8859-1: each byte is the code point of its character.
    case latin1
    /// Another one in which a byte below 0x80 is always the ASCII character: rows and fields can be told apart, and fields of ASCII read.
    case asciiSafe

    /// The encoding that PostgreSQL knows by this name. nil: one in which an ASCII byte may be the second half of a character (SJIS, BIG5, GBK,
    /// UHC, GB18030, JOHAB), or none.
    ///
    /// Names are compared as `pg_char_to_encoding` does: letters and digits alone, in lower case.
    init?(name: String) {
        let plain = name.lowercased().filter { $0.isASCII && ($0.isLetter || $0.isNumber) }
        switch plain {
        // Data in SQL_ASCII are taken as the server's.
        case "utf8", "unicode", "sqlascii": self = .utf8
        case "latin1", "iso88591": self = .latin1
        default:
            guard Self.safeNames.contains(plain) else { return nil }
            self = .asciiSafe
        }
    }

    private static let safeNames: Set<String> = [
        "latin2", "latin3", "latin4", "latin5", "latin6", "latin7", "latin8", "latin9", "latin10", "iso88592", "iso88593", "iso88594",
        "iso88595", "iso88596", "iso88597", "iso88598", "iso88599", "iso885910", "iso885913", "iso885914", "iso885915", "iso885916",
        "win1250", "win1251", "win1252", "win1253", "win1254", "win1255", "win1256", "win1257", "win1258", "win866", "win874", "win",
        "windows1250", "windows1251", "windows1252", "windows1253", "windows1254", "windows1255", "windows1256", "windows1257",
        "windows1258", "windows866", "windows874", "alt", "abc", "tcvn", "tcvn5712", "vscii", "koi8", "koi8r", "koi8u", "euccn", "eucjp",
        "euckr", "euctw", "eucjis2004", "muleinternal",
    ]
}
