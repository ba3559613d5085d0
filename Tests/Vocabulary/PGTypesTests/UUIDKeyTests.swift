import PGTypes
import ShardModel
import TestKit
import Testing

@Suite struct UUIDKeyTests {
    static let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    static let bytes: [UInt8] = [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11]

    @Test(arguments: [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11", "{A0eeBC999c0b4ef8bb6d6bb9bd380a11}", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0ee-bc999c0b4ef8bb6d6bb9bd380a11",
    ])
    func everySpellingHasOneToken(text: String) throws {
        #expect(try token(.uuid, text: text) == token(Self.canonical))
        for oid: UInt32 in [0, 705, 2950] {
            #expect(try token(.uuid, Array(text.utf8), isBinary: false, oid: oid) == token(Self.canonical))
        }
    }

    @Test(arguments: [
        "", "{", "}", "{}", "a0eebc99", " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a112", "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11", "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
        "-a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11-", "g0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a1\0", "{{a0eebc999c0b4ef8bb6d6bb9bd380a11}}", "0xeebc999c0b4ef8bb6d6bb9bd380a11a0",
        "(a0eebc999c0b4ef8bb6d6bb9bd380a11)", "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ])
    func whatUuidInRefusesIsRefused(text: String) {
        #expect(throws: KeyError.malformed) { try token(.uuid, text: text) }
    }

    @Test func binaryAndTextHaveOneToken() throws {
        #expect(try token(.uuid, Self.bytes, isBinary: true, oid: 2950) == token(Self.canonical))
        try withSeed { (generator: inout SeededGenerator) throws in
            for _ in 0..<300 {
                let bytes = generator.bytes(16)
                let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                let text = [hex[0..<4], hex[4..<6], hex[6..<8], hex[8..<10], hex[10..<16]].map { $0.joined() }.joined(separator: "-")
                let expected = token(text)
                #expect(try token(.uuid, text: text.uppercased()) == expected)
                for oid: UInt32 in [0, 705, 2950] { #expect(try token(.uuid, bytes, isBinary: true, oid: oid) == expected) }
                #expect(try tokens(.uuid, text: "{\(text),\"{\(text)}\"}", oid: 2951) == [expected, expected])
                #expect(try tokens(.uuid, binary: binaryArray(oid: 2950, [bytes]), oid: 2951) == [expected])
            }
        }
    }

    @Test func aBinaryUuidHas16Bytes() {
        for count in [0, 1, 15, 17, 36] {
            #expect(throws: KeyError.malformed) { try token(.uuid, [UInt8](repeating: 0x30, count: count), isBinary: true, oid: 2950) }
        }
    }

    @Test(arguments: [25, 1043, 20, 17] as [UInt32])
    func aParameterOfAnotherTypeIsRefused(oid: UInt32) {
        #expect(throws: KeyError.unsupportedType(oid)) { try token(.uuid, Self.bytes, isBinary: true, oid: oid) }
    }
}
