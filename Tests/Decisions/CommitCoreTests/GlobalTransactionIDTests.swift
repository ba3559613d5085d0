import CommitCore
import ShardModel
import Testing

@Suite struct GlobalTransactionIDTests {
    static let plain = try! GlobalTransactionID(cluster: "c1", router: "router-1", start: 255, number: 16, decider: ShardID("shard-1"))

    @Test func hasAnExactText() {
        #expect(Self.plain.key == "pgmosaic:c1:router-1:ff-10:shard-1")
        #expect(Self.plain.name(of: 12) == "pgmosaic:c1:router-1:ff-10:shard-1:12")
        #expect(Self.plain.key.hasPrefix(GlobalTransactionID.prefix(ofCluster: "c1")))
    }

    @Test(arguments: ["a", "ü:'%", "\u{0}\n\"\\", "日本", "shard 1; DROP", "%25", "e\u{301}"])
    func comesBackFromItsTextWhateverTheNames(_ name: String) throws {
        let id = try GlobalTransactionID(cluster: name, router: name, start: .max, number: .max, decider: ShardID(name))
        #expect(GlobalTransactionID(key: id.key) == id)
        let prepared = try #require(PreparedName(id.name(of: 999)))
        #expect(prepared.transaction == id)
        #expect(prepared.position == 999)
        #expect(id.key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "'") && $0 != UInt8(ascii: "\\") })
    }

    @Test func anotherSpellingIsNotOurs() {
        let text = Self.plain.name(of: 3)
        for other in [
            "", ":", "pgmosaic", "pgmosaic:::::", text + ":", text + "3:", text + "x", " " + text, text.uppercased(),
            "pgmosaic:c1:router-1:FF-10:shard-1:3", "pgmosaic:c1:router-1:0ff-10:shard-1:3", "pgmosaic:c1:router-1:+ff-10:shard-1:3",
            "pgmosaic:c1:router-1:ff-10:shard-1:03", "pgmosaic:c1:router-1:ff-10:shard-1:+3", "pgmosaic:c1:router-1:ff-10:shard-1:1000",
            "pgmosaic:c1:router-1:ff-10:shard-1:-1", "pgmosaic:c1:router-1:ff-10:shard%2D1:3", "pgmosaic:c1:router-1:ff-10:shard%:3",
            "pgmosaic:c1:router-1:ff-10:shard%ff:3", "pgmosaic:c1:router-1:ff-10:é:3", "pgmosaic:c1:router-1:ff-10-1:s:3",
            "pgmosaic:c1:router-1:10000000000000000-1:s:3", String(repeating: "pgmosaic:", count: 30),
        ] {
            #expect(PreparedName(other) == nil, "\(other)")
        }
        #expect(PreparedName(text)?.text == text)
    }

    @Test func everyMutationEitherFailsOrMeansItself() {
        let bytes = Array(Self.plain.name(of: 3).utf8)
        for position in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = bytes
                changed[position] = byte
                let text = String(decoding: changed, as: UTF8.self)
                if let name = PreparedName(text) { #expect(name.text == text) }
            }
        }
    }

    @Test func namesThatLeaveNoRoomAreRefused() {
        let name = String(repeating: "s", count: 63)
        #expect(throws: Never.self) {
            try GlobalTransactionID(cluster: String(repeating: "c", count: 36), router: "r", start: .max, number: .max, decider: ShardID(name))
        }
        #expect(throws: GlobalTransactionIDError.self) {
            try GlobalTransactionID(cluster: name, router: name, start: 1, number: 1, decider: ShardID(name))
        }
        #expect(throws: GlobalTransactionIDError.emptyName) {
            try GlobalTransactionID(cluster: "", router: "r", start: 1, number: 1, decider: ShardID("s"))
        }
    }

    @Test func theLongestNameStaysBelowPostgreSQLsLimit() throws {
        var length = 1
        while let id = try? GlobalTransactionID(
            cluster: String(repeating: "c", count: length), router: "r", start: .max, number: .max, decider: ShardID("s"))
        {
            #expect(id.name(of: GlobalTransactionID.participantsMax - 1).utf8.count < 200)
            length += 1
        }
        #expect(length > 100)
    }
}
