import Foundation
import PGTypes
import ShardModel
import Testing

/// What a real server made of the same texts; the vectors are made by scripts/make-key-vectors.
@Suite struct ServerVectorTests {
    private enum Verdict: Equatable {
        case tokens([Token])
        case refused(KeyError)
    }

    @Test func textsAreReadAsAServerReadsThem() throws {
        let url = try #require(Bundle.module.url(forResource: "keys", withExtension: "tsv", subdirectory: "Resources"))
        let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
        #expect(lines.count > 2000)
        for line in lines {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            let text = Self.bytes(hex: fields[1])
            let (ours, server) = (Self.ours(fields[0], text), Self.server(fields[2], fields[3]))
            // A text with two faults may be refused for either.
            let bothRefuse = server == .refused(.malformed) && [.refused(.manyDimensions), .refused(.outOfRange)].contains(ours)
            #expect(ours == server || bothRefuse, "\(fields[0]) \(String(decoding: text, as: UTF8.self).debugDescription)")
        }
    }

    private static func ours(_ kind: String, _ text: [UInt8]) -> Verdict {
        do throws(KeyError) {
            return switch kind {
            case "int8": .tokens([try KeyType.integer.token(text: text.span.bytes)])
            case "uuid": .tokens([try KeyType.uuid.token(text: text.span.bytes)])
            case "int8[]": .tokens(try KeyType.integer.tokens(array: text.span.bytes, isBinary: false, oid: 1016))
            default: .tokens(try KeyType.text.tokens(array: text.span.bytes, isBinary: false, oid: 1009))
            }
        } catch {
            return .refused(error)
        }
    }

    private static func server(_ verdict: String, _ elements: String) -> Verdict {
        switch verdict {
        case "ok": .tokens(elements.split(separator: ",").map { Token(hashing: bytes(hex: $0 == "-" ? "" : String($0)).span.bytes) })
        case "outOfRange": .refused(.outOfRange)
        case "manyDimensions": .refused(.manyDimensions)
        default: .refused(.malformed)
        }
    }

    private static func bytes(hex: String) -> [UInt8] {
        var rest = Substring(hex)
        var bytes: [UInt8] = []
        while !rest.isEmpty {
            bytes.append(UInt8(rest.prefix(2), radix: 16)!)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
