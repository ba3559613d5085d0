/// Reads DER (X.690), the form of certificates, one element after the other. Every length is checked; what is malformed is nil.
struct DERReader {
    struct Element {
        let tag: UInt8
        let content: ArraySlice<UInt8>
        /// Elements inside it.
        var inside: DERReader { DERReader(content) }
    }

    enum Tag {
        static let integer: UInt8 = 0x02
        static let objectIdentifier: UInt8 = 0x06
        static let utf8String: UInt8 = 0x0C
        static let printableString: UInt8 = 0x13
        static let ia5String: UInt8 = 0x16
        static let sequence: UInt8 = 0x30
        static let set: UInt8 = 0x31
        /// `[0]`, constructed.
        static let context0: UInt8 = 0xA0
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next element, which must have this tag if one is given; nil at the end, too.
    mutating func next(_ tag: UInt8? = nil) -> Element? {
        var bytes = rest
        guard let found = bytes.popFirst(), found & 0x1F != 0x1F, tag == nil || found == tag, let first = bytes.popFirst() else { return nil }
        var length = Int(first)
        if first & 0x80 != 0 {
            let count = Int(first & 0x7F)
            guard (1...4).contains(count), bytes.count >= count else { return nil }
            length = bytes.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            bytes = bytes.dropFirst(count)
        }
        guard length <= bytes.count else { return nil }
        rest = bytes.dropFirst(length)
        return Element(tag: found, content: bytes.prefix(length))
    }
}
