import PGTypes
import ShardModel
import Testing

@Suite struct TextKeyTests {
    @Test(arguments: ["", " ", "user-123", " padded ", "日本語", "NULL", "{a}", "e\u{301}", "\u{e9}", "a\nb"])
    func textIsItsBytes(text: String) throws {
        let expected = token(text)
        #expect(try token(.text, text: text) == expected)
        for oid: UInt32 in [0, 705, 25, 1043] {
            #expect(try token(.text, Array(text.utf8), isBinary: false, oid: oid) == expected)
            #expect(try token(.text, Array(text.utf8), isBinary: true, oid: oid) == expected)
        }
        for (array, oid): (UInt32, UInt32) in [(1009, 25), (1015, 1043), (0, 25)] {
            #expect(try tokens(.text, binary: binaryArray(oid: oid, [Array(text.utf8)]), oid: array) == [expected])
        }
    }

    /// The same letter in two spellings of Unicode is two keys to PostgreSQL, and so to the ring.
    @Test func nothingIsNormalized() throws {
        #expect(try token(.text, text: "e\u{301}") != token(.text, text: "\u{e9}"))
        #expect(try token(.text, text: "a ") != token(.text, text: "a"))
        #expect(try token(.text, text: "A") != token(.text, text: "a"))
    }

    /// bpchar drops blanks, name and citext compare by rules of their own, json has no equality, and a number is no text.
    @Test(arguments: [1042, 19, 18, 114, 20, 23, 2950, 16_400] as [UInt32], [false, true])
    func aParameterWhoseEqualityIsNotThatOfBytesIsRefused(oid: UInt32, isBinary: Bool) {
        #expect(throws: KeyError.unsupportedType(oid)) { try token(.text, [0x61], isBinary: isBinary, oid: oid) }
    }

    @Test func onlyTypesWithARuleAreKeyTypes() {
        #expect([20, 21, 23].allSatisfy { KeyType(typeOID: $0) == .integer })
        #expect(KeyType(typeOID: 2950) == .uuid)
        #expect([25, 1043].allSatisfy { KeyType(typeOID: $0) == .text })
        #expect([0, 16, 17, 18, 19, 26, 700, 701, 705, 1042, 1082, 1114, 1184, 1700, 16_400].allSatisfy { KeyType(typeOID: $0) == nil })
    }
}
