import PGTypes
import ShardModel
import TestKit
import Testing

@Suite struct IntegerKeyTests {
    /// What int8in of PostgreSQL 15 takes, and the shortest decimal form of it.
    static let taken: [(String, String)] = [
        ("0", "0"), ("-0", "0"), ("+0", "0"), ("00", "0"), ("-000", "0"), ("7", "7"), ("+7", "7"), ("-7", "-7"), ("007", "7"), ("-007", "-7"),
        ("+007", "7"), ("  42", "42"), ("42  ", "42"), (" \t\n\u{b}\u{c}\r42\r\n", "42"), (" -42 ", "-42"), (" +042 ", "42"),
        ("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808"),
        ("-0009223372036854775808", "-9223372036854775808"), ("0000000000000000000000000000001", "1"),
    ]

    @Test(arguments: taken)
    func everySpellingOfANumberHasOneToken(text: String, canonical: String) throws {
        #expect(try token(.integer, text: text) == token(canonical))
        for oid: UInt32 in [0, 705, 20, 21, 23] {
            #expect(try token(.integer, Array(text.utf8), isBinary: false, oid: oid) == token(canonical))
        }
    }

    @Test(arguments: [
        "", " ", "-", "+", "- 7", "+-7", "--7", "7-", "7 7", "1.0", "1e3", "0x10", "0b1", "1_000", "a", "7a", "'7'", "NULL", "٣", "7\0", "\u{a0}7",
    ])
    func whatIsNoIntegerIsRefused(text: String) {
        #expect(throws: KeyError.malformed) { try token(.integer, text: text) }
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "99999999999999999999999999",
        "-99999999999999999999999999",
    ])
    func beyondInt8IsOutOfRange(text: String) {
        #expect(throws: KeyError.outOfRange) { try token(.integer, text: text) }
    }

    /// The worse fault is named, whatever stands first: PostgreSQL says 22P02 as well.
    @Test func aLongNumberThatIsNoneIsMalformed() {
        #expect(throws: KeyError.malformed) { try token(.integer, text: "99999999999999999999999999x") }
    }

    @Test func everyWidthAndFormatOfANumberHasOneToken() throws {
        try withSeed { (generator: inout SeededGenerator) throws in
            var values: [Int64] = [0, 1, -1, 127, -128, 255, 32767, -32768, 65535, 2_147_483_647, -2_147_483_648, .max, .min]
            for _ in 0..<500 { values.append(Int64(truncatingIfNeeded: generator.next()) >> Int64.random(in: 0..<64, using: &generator)) }
            for value in values {
                let expected = token(String(value))
                #expect(try Self.forms(value).allSatisfy { try $0() == expected }, "\(value)")
            }
        }
    }

    private static func forms(_ value: Int64) -> [() throws -> Token] {
        var forms: [() throws -> Token] = [
            { try token(.integer, text: String(value)) },
            { try token(.integer, bigEndian(value), isBinary: true, oid: 20) },
            { try token(.integer, bigEndian(value), isBinary: true, oid: 0) },
            { try token(.integer, bigEndian(value), isBinary: true, oid: 705) },
            { try tokens(.integer, text: "{\(value)}", oid: 1016)[0] },
            { try tokens(.integer, text: "{\"\(value)\"}", oid: 0)[0] },
            { try tokens(.integer, binary: binaryArray(oid: 20, [bigEndian(value)]), oid: 1016)[0] },
        ]
        if let value = Int32(exactly: value) {
            forms.append { try token(.integer, bigEndian(value), isBinary: true, oid: 23) }
            forms.append { try token(.integer, bigEndian(value), isBinary: true, oid: 0) }
            forms.append { try tokens(.integer, binary: binaryArray(oid: 23, [bigEndian(value)]), oid: 1007)[0] }
        }
        if let value = Int16(exactly: value) {
            forms.append { try token(.integer, bigEndian(value), isBinary: true, oid: 21) }
            forms.append { try token(.integer, bigEndian(value), isBinary: true, oid: 0) }
            forms.append { try tokens(.integer, binary: binaryArray(oid: 21, [bigEndian(value)]), oid: 1005)[0] }
        }
        return forms
    }

    @Test func aBinaryIntegerOfAWidthThatItsTypeDoesNotHaveIsRefused() {
        for count in 0...17 {
            let bytes = [UInt8](repeating: 1, count: count)
            for (oid, width): (UInt32, Int?) in [(20, 8), (21, 2), (23, 4), (0, nil), (705, nil)] {
                let fits = width.map { $0 == count } ?? [2, 4, 8].contains(count)
                if fits {
                    #expect(throws: Never.self) { try token(.integer, bytes, isBinary: true, oid: oid) }
                } else {
                    #expect(throws: KeyError.malformed) { try token(.integer, bytes, isBinary: true, oid: oid) }
                }
            }
        }
    }

    /// numeric, float8, text, oid, bool: their equality with an integer is not equality of its bytes.
    @Test(arguments: [1700, 701, 700, 25, 26, 16, 1043, 2950] as [UInt32], [false, true])
    func aParameterOfAnotherTypeIsRefused(oid: UInt32, isBinary: Bool) {
        #expect(throws: KeyError.unsupportedType(oid)) { try token(.integer, [0, 0, 0, 1], isBinary: isBinary, oid: oid) }
    }
}
