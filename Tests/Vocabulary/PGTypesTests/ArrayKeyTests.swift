import PGTypes
import ShardModel
import TestKit
import Testing

@Suite struct ArrayKeyTests {
    // MARK: Text

    static let texts: [(String, [String])] = [
        ("{}", []), (" { } ", []), ("{a}", ["a"]), ("{a,b}", ["a", "b"]), ("{ a , b }", ["a", "b"]), ("{a b}", ["a b"]),
        ("{\"a\"}", ["a"]), ("{\"\"}", [""]), ("{\" a \"}", [" a "]), ("{\"a,b\",c}", ["a,b", "c"]), ("{\"a}b\"}", ["a}b"]),
        ("{\"a\\\"b\"}", ["a\"b"]), ("{\"a\\\\b\"}", ["a\\b"]), ("{a\\,b}", ["a,b"]), ("{a\\ }", ["a "]), ("{a\\  }", ["a "]), ("{\\ a}", [" a"]),
        ("{\\n}", ["n"]), ("{NULL}", []), ("{null,a,Null}", ["a"]), ("{\"NULL\"}", ["NULL"]), ("{\\NULL}", ["NULL"]), ("{NULLS}", ["NULLS"]),
        ("{日本語,\"日\\\"本\"}", ["日本語", "日\"本"]), ("[1:2]={a,b}", ["a", "b"]), ("[-1:0] = {a,b}", ["a", "b"]), ("[2]={a,b}", ["a", "b"]),
        ("{\"a\" , \"b\"}\n", ["a", "b"]), ("{\"a\\ \"}", ["a "]),
    ]

    @Test(arguments: texts)
    func arrayLiteralsAreReadAsPostgreSQLReadsThem(literal: String, elements: [String]) throws {
        #expect(try tokens(.text, text: literal) == elements.map(token))
        #expect(try tokens(.text, text: literal, oid: 1009) == elements.map(token))
    }

    @Test(arguments: [
        "", " ", "{", "}", "a", "{a", "a}", "{a,}", "{,a}", "{,}", "{a,,b}", "{a}}", "{a} b", "{\"a}", "{\"a\\", "{a\\", "{a\\}", "{\"a\"b}", "{a\"b\"}",
        "{a{b}", "{a\\b\"c}", "[1:2]{a,b}", "[]={a}", "[1:2={a,b}", "[1:]={a}", "[x]={a}", "{\"a\" \"b\"}", "{ a, }",
    ])
    func malformedLiteralsAreRefused(literal: String) {
        #expect(throws: KeyError.malformed) { try tokens(.text, text: literal) }
    }

    @Test(arguments: ["{{a}}", "{{a},{b}}", "{a,{b}}", "{{}}", "[1:1][1:1]={{a}}"])
    func severalDimensionsAreRefused(literal: String) {
        #expect(throws: KeyError.manyDimensions) { try tokens(.text, text: literal) }
    }

    @Test func elementsAreReadByTheirTypesRules() throws {
        #expect(try tokens(.integer, text: "{ 1, +2 ,\"003\",NULL,-0}", oid: 1007) == ["1", "2", "3", "0"].map(token))
        #expect(throws: KeyError.malformed) { try tokens(.integer, text: "{1,x}") }
        #expect(throws: KeyError.malformed) { try tokens(.integer, text: "{1,\"\"}") }
        #expect(throws: KeyError.outOfRange) { try tokens(.integer, text: "{9223372036854775808}") }
    }

    /// Whatever bytes an element has, quoting it as array_out does brings it back.
    @Test func anyQuotedElementComesBack() throws {
        try withSeed { (generator: inout SeededGenerator) throws in
            for _ in 0..<500 {
                let elements = (0..<Int.random(in: 1...5, using: &generator)).map { _ in Self.awkwardElement(&generator) }
                let literal: [UInt8] = [0x7b] + Array(elements.map(Self.quoted).joined(separator: [0x2c])) + [0x7d]
                let tokens = try KeyType.text.tokens(array: literal.span.bytes, isBinary: false, oid: 1009)
                #expect(tokens == elements.map { Token(hashing: $0.span.bytes) })
            }
        }
    }

    private static func awkwardElement(_ generator: inout SeededGenerator) -> [UInt8] {
        let special: [UInt8] = [0x22, 0x5c, 0x2c, 0x7d, 0x7b, 0x20]
        return generator.bytes(Int.random(in: 0...6, using: &generator)).map { byte in
            let choice = Int(byte & 7)
            return choice < special.count ? special[choice] : byte
        }
    }

    private static func quoted(_ element: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0x22]
        for byte in element {
            if byte == 0x22 || byte == 0x5c { bytes.append(0x5c) }
            bytes.append(byte)
        }
        return bytes + [0x22]
    }

    // MARK: Binary

    @Test func nullElementsAreLeftOut() throws {
        let array = binaryArray(oid: 23, [bigEndian(Int32(5)), nil, bigEndian(Int32(-6))])
        #expect(try tokens(.integer, binary: array, oid: 1007) == ["5", "-6"].map(token))
    }

    @Test func anEmptyArrayHasNoDimensionOrNoElement() throws {
        let none = bigEndian(Int32(0)) + bigEndian(Int32(0)) + bigEndian(UInt32(23))
        #expect(try tokens(.integer, binary: none, oid: 1007).isEmpty)
        #expect(try tokens(.integer, binary: binaryArray(oid: 23, []), oid: 1007).isEmpty)
        #expect(throws: KeyError.malformed) { try tokens(.integer, binary: none + [0]) }
    }

    @Test(arguments: [
        (KeyType.integer, binaryArray(oid: 20, [bigEndian(Int64(1)), nil, bigEndian(Int64(2))])),
        (.uuid, binaryArray(oid: 2950, [UUIDKeyTests.bytes, UUIDKeyTests.bytes])),
        (.text, binaryArray(oid: 25, [[0x61], [], nil, Array("日本語".utf8)])),
    ])
    func anArrayCutAnywhereOrWithBytesLeftIsRefused(type: KeyType, array: [UInt8]) throws {
        #expect(throws: Never.self) { try tokens(type, binary: array) }
        for end in 0..<array.count {
            #expect(throws: KeyError.malformed) { try tokens(type, binary: Array(array[..<end])) }
        }
        #expect(throws: KeyError.malformed) { try tokens(type, binary: array + [0]) }
    }

    @Test(arguments: [Int32.max, .min, -1, 2, 3, 1_000_000_000])
    func aCountThatTheMessageDoesNotHoldIsRefusedBeforeMemoryIsReserved(count: Int32) {
        var array = binaryArray(oid: 23, [bigEndian(Int32(5))])
        array.replaceSubrange(12..<16, with: bigEndian(count))
        #expect(throws: KeyError.malformed) { try tokens(.integer, binary: array) }
    }

    @Test(arguments: [Int32.max, .min, -2, 5, 1_000_000_000])
    func aLengthThatTheMessageDoesNotHoldIsRefused(length: Int32) {
        var array = binaryArray(oid: 25, [[1, 2, 3, 4]])
        array.replaceSubrange(20..<24, with: bigEndian(length))
        #expect(throws: KeyError.malformed) { try tokens(.text, binary: array) }
    }

    @Test func headersOfAnotherKindAreRefused() {
        var array = binaryArray(oid: 23, [bigEndian(Int32(5))])
        for (offset, value, error): (Int, Int32, KeyError) in [
            (0, -1, .malformed), (0, 2, .manyDimensions), (0, 7, .manyDimensions), (0, .max, .manyDimensions), (4, 2, .malformed), (4, -1, .malformed),
            (8, 1700, .unsupportedType(1700)), (8, 0, .unsupportedType(0)), (8, 25, .unsupportedType(25)),
        ] {
            let kept = array
            array.replaceSubrange(offset..<(offset + 4), with: bigEndian(value))
            #expect(throws: error) { try tokens(.integer, binary: array) }
            array = kept
        }
        // The declared type and the array's own must be one.
        #expect(throws: KeyError.unsupportedType(23)) { try tokens(.integer, binary: array, oid: 1016) }
    }

    @Test(arguments: [1014, 1231, 1021, 22, 30, 23, 25, 1002] as [UInt32], [false, true])
    func aParameterOfAnotherTypeIsRefused(oid: UInt32, isBinary: Bool) {
        for type in KeyType.allCases {
            #expect(throws: KeyError.unsupportedType(oid)) { try type.tokens(array: [UInt8]().span.bytes, isBinary: isBinary, oid: oid) }
        }
    }

    /// Spoiled messages give tokens or an error, and nothing else.
    @Test func anyBytesAreAnsweredOrRefused() throws {
        withSeed { generator in
            let seeds = [
                binaryArray(oid: 23, [bigEndian(Int32(5)), nil]), binaryArray(oid: 25, [[0x61, 0x62], []]), Array("{\"a\\\"\",b , NULL}".utf8),
                Array("[1:2]={1,2}".utf8), Array(" -0042 ".utf8), Array("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}".utf8),
            ]
            for _ in 0..<5000 {
                var bytes = seeds.randomElement(using: &generator)!
                for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                    let position = Int.random(in: 0..<bytes.count, using: &generator)
                    switch Int.random(in: 0..<3, using: &generator) {
                    case 0: bytes[position] = UInt8.random(in: .min ... .max, using: &generator)
                    case 1: bytes.remove(at: position)
                    default: bytes.insert(bytes.randomElement(using: &generator)!, at: position)
                    }
                }
                for type in KeyType.allCases {
                    for isBinary in [false, true] {
                        _ = try? type.tokens(array: bytes.span.bytes, isBinary: isBinary, oid: 0)
                        _ = try? type.token(parameter: bytes.span.bytes, isBinary: isBinary, oid: 0)
                    }
                }
            }
        }
    }
}
