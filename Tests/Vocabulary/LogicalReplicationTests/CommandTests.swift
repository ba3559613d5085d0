import Foundation
import LogicalReplication
import Testing

@Suite struct CommandTests {
    private static let slot = SlotName("move_1")!

    @Test func aCommandIsTheTextThatTheServerTakes() {
        let texts: [(ReplicationCommand, String)] = [
            (.identifySystem, "IDENTIFY_SYSTEM"),
            (
                .createSlot(Self.slot, isTemporary: false, snapshot: .export, decodesPrepared: false),
                #"CREATE_REPLICATION_SLOT "move_1" LOGICAL pgoutput EXPORT_SNAPSHOT"#
            ),
            (
                .createSlot(Self.slot, isTemporary: true, snapshot: .none, decodesPrepared: true),
                #"CREATE_REPLICATION_SLOT "move_1" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT TWO_PHASE"#
            ),
            (
                .createSlot(Self.slot, isTemporary: false, snapshot: .use, decodesPrepared: false),
                #"CREATE_REPLICATION_SLOT "move_1" LOGICAL pgoutput USE_SNAPSHOT"#
            ),
            (.dropSlot(Self.slot, waits: false), #"DROP_REPLICATION_SLOT "move_1""#),
            (.dropSlot(Self.slot, waits: true), #"DROP_REPLICATION_SLOT "move_1" WAIT"#),
        ]
        for (command, text) in texts { #expect(command.text == text) }
    }

    @Test func aStreamNamesOnlyTheOptionsThatItAsksFor() {
        var request = StreamRequest(slot: Self.slot, start: LSN(0x16_B374_D848), version: .one, publications: ["p"])
        #expect(
            ReplicationCommand.start(request).text
                == #"START_REPLICATION SLOT "move_1" LOGICAL 16/B374D848 (proto_version '1', publication_names '"p"')"#)
        request.version = .three
        request.publications = ["It's", #"a"b"#, #"back\slash"#]
        (request.isBinary, request.streamsInProgress, request.sendsMessages, request.sendsPrepared) = (true, true, true, true)
        #expect(
            ReplicationCommand.start(request).text == #"START_REPLICATION SLOT "move_1" LOGICAL 16/B374D848 (proto_version '3', "#
                + #"publication_names '"It''s","a""b","back\slash"', binary 'true', streaming 'on', messages 'true', two_phase 'on')"#)
    }

    @Test func aQuoteCannotHideBehindACombiningMarkNorAZeroByteEndTheCommand() {
        #expect(ReplicationCommand.setSnapshot("a'\u{301}b\0c") == "SET TRANSACTION SNAPSHOT 'a''\u{301}bc'")
    }

    @Test func aSlotNameIsOneThatTheServerWouldTake() {
        for good in ["a", "0", "_", "pgmosaic_move_1", String(repeating: "a", count: 63)] { #expect(SlotName(good)?.text == good) }
        for bad in ["", "A", "a-b", "ä", "a b", "a\0", "a'", String(repeating: "a", count: 64)] { #expect(SlotName(bad) == nil, "\(bad)") }
    }

    @Test func aPositionIsReadAndWrittenAsTheServerDoes() throws {
        for (text, value) in [("0/0", 0), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", UInt64.max), ("1/0", 1 << 32)] {
            #expect(LSN(text: text)?.value == value)
            #expect(LSN(value).description == text)
        }
        #expect(LSN(text: "0/000000ff")?.value == 255)
        for bad in ["", "/", "0", "0/", "/0", "0/0/0", "0/123456789", "-1/0", "0/+1", "g/0", " 0/0"] { #expect(LSN(text: bad) == nil, "\(bad)") }
        #expect(LSN(5) < LSN(1 << 32) && LSN.none < LSN(1))
        #expect(try JSONDecoder().decode([LSN].self, from: JSONEncoder().encode([LSN(.max)])) == [LSN(.max)])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([LSN].self, from: Data(#"["x"]"#.utf8)) }
    }

    @Test func aServersClockIsThatOfUnixWithAnotherStart() {
        #expect(ServerTime(unixSeconds: 946_684_800).microseconds == 0)
        #expect(ServerTime(microseconds: 1_500_000).unixSeconds == 946_684_801.5)
        #expect(ServerTime(unixSeconds: 1e300).microseconds == .max)
        #expect(ServerTime(unixSeconds: -.infinity).microseconds == .min)
    }

    @Test func anAnswerOfAnotherShapeIsNone() {
        #expect(SystemIdentity(row: ["7", "1", "0/15", "shop"])?.position == LSN(21))
        #expect(SystemIdentity(row: ["7", "1", "0/15", nil])?.database == nil)
        for row: [String?] in [[], ["7", "1", "0/15"], [nil, "1", "0/15", nil], ["7", "x", "0/15", nil], ["7", "1", "15", nil]] {
            #expect(SystemIdentity(row: row) == nil)
        }
        #expect(CreatedSlot(row: ["s", "0/15", nil, "pgoutput"])?.consistentPoint == LSN(21))
        for row: [String?] in [[], ["S", "0/15", nil, "pgoutput"], ["s", nil, nil, nil]] { #expect(CreatedSlot(row: row) == nil) }
    }
}
