import Foundation
import ShardModel
import Testing

@Suite struct Murmur3Tests {
    static let known: [(String, UInt64)] = [
        ("", 0), ("a", 9_607_679_276_477_937_801), ("test-key", 12_249_193_293_052_212_267),
        ("user-123", 17_358_980_885_433_774_459), ("hello world", 5_998_619_086_395_760_910), ("日本語", 1_349_821_744_801_378_292),
    ]

    @Test(arguments: known)
    func theDocumentedValuesHold(key: String, token: UInt64) {
        #expect(Token(hashing: Array(key.utf8).span.bytes) == Token(token))
    }

    /// Made by scripts/make-murmur3-vectors.
    @Test func anIndependentImplementationAgreesOnAThousandVectors() throws {
        let url = try #require(Bundle.module.url(forResource: "murmur3", withExtension: "tsv", subdirectory: "Resources"))
        let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 1000)
        var lengths: Set<Int> = []
        for line in lines {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            let bytes = Self.bytes(hex: fields[0])
            lengths.insert(bytes.count)
            #expect(Token(hashing: bytes.span.bytes).value == UInt64(fields[1]), "\(fields[0])")
        }
        #expect(lengths == Set(0...300))
    }

    /// The bytes before and behind a key, and its alignment, must not matter.
    @Test func onlyTheKeysOwnBytesCount() {
        for length in 0...40 {
            let key = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
            let alone = Token(hashing: key.span.bytes)
            for before in 0...9 {
                let padded = [UInt8](repeating: 0xff, count: before) + key + [0xee, 0xdd]
                let inside = padded.span.bytes.extracting(before..<(before + length))
                #expect(Token(hashing: inside) == alone)
            }
        }
    }

    private static func bytes(hex: Substring) -> [UInt8] {
        var rest = hex
        var bytes: [UInt8] = []
        while !rest.isEmpty {
            bytes.append(UInt8(rest.prefix(2), radix: 16)!)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
