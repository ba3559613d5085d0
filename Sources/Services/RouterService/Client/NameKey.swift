internal import NIOCore
internal import PGWire
internal import ShardModel

extension ByteBuffer {
    /// The name of a prepared statement or of a portal, as the session keeps it: names of different bytes are different texts to `==`, and one that SQL can say
    /// (`PREPARE`, `DECLARE`) is the same text there.
    ///
    /// A name that is not UTF-8, or not in normalization form C, which no statement can say, has U+FFFF and a character for each byte.
    var nameKey: String {
        guard !readableBytesView.allSatisfy({ $0 < 0x80 }) else { return String(buffer: self) }
        if let text = utf8Text, text.isNormalized, text.unicodeScalars.first != Self.mark { return text }
        return String(String.UnicodeScalarView([Self.mark] + readableBytesView.map { Unicode.Scalar($0) }))
    }

    private static let mark: Unicode.Scalar = "\u{FFFF}"
}
