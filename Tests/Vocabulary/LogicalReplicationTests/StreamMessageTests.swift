import LogicalReplication
import NIOCore
import ReplicationFuzzing
import Testing

@Suite struct StreamMessageTests {
    @Test func aMessageOfTheStreamIsReadBackAsItWasWritten() throws {
        for message in PGOutputSamples.stream {
            var bytes = ByteBuffer()
            bytes.writeReplicationMessage(message)
            #expect(try ReplicationMessage(bytes) == message)
        }
        var bytes = ByteBuffer()
        bytes.writeStandbyStatusUpdate(PGOutputSamples.update)
        // Kind, three positions, a time and a flag.
        #expect(bytes.readableBytes == 34)
        #expect(try StandbyStatusUpdate(bytes) == PGOutputSamples.update)
    }

    @Test func aHeadOrKeepaliveCutAnywhereIsRefused() {
        for (message, headLength) in zip(PGOutputSamples.stream, [25, 25, 18]) {
            var bytes = ByteBuffer()
            bytes.writeReplicationMessage(message)
            for count in 0..<headLength {
                #expect(throws: ReplicationError.self) { try ReplicationMessage(bytes.getSlice(at: 0, length: count)!) }
            }
        }
        for other: [UInt8] in [[0x72], [0x6B] + [UInt8](repeating: 0, count: 16) + [2], [0x6B] + [UInt8](repeating: 0, count: 18)] {
            #expect(throws: ReplicationError.self) { try ReplicationMessage(ByteBuffer(bytes: other)) }
        }
        var bytes = ByteBuffer()
        bytes.writeStandbyStatusUpdate(PGOutputSamples.update)
        for count in 0..<34 { #expect(throws: ReplicationError.self) { try StandbyStatusUpdate(bytes.getSlice(at: 0, length: count)!) } }
    }

    @Test func anErrorTellsNoValue() throws {
        var decoder = PGOutputDecoder(version: .one)
        var bytes = ByteBuffer(pgoutput: .insert(RowInsert(relation: RelationID(1), row: [PGOutputSamples.text("secret")]), xid: nil))
        bytes.writeInteger(0 as UInt8)
        do throws(ReplicationError) {
            _ = try decoder.decode(bytes)
            Issue.record("taken")
        } catch {
            #expect("\(error)" == "replication stream: trailingBytes in message 'I'")
        }
        #expect(ReplicationError(.truncated, kind: 0).description == "replication stream: truncated in message 0x0")
    }
}
