import ReplicaCore
import Testing

@Suite struct LogPositionTests {
    @Test(arguments: ["0/0", "0/3000060", "16/B374D848", "FFFFFFFF/FFFFFFFF"])
    func isReadAsPostgreSQLWritesIt(text: String) throws {
        #expect(try #require(LogPosition(text: text)).description == text)
    }

    @Test(arguments: ["", "/", "0", "0/", "/0", "0/0/0", "0/+1", "-1/0", "0/100000000", "G/0", "0/ 1"])
    func anythingElseIsNone(text: String) { #expect(LogPosition(text: text) == nil) }

    @Test func comparesAcrossTheHalves() throws {
        #expect(try #require(LogPosition(text: "1/0")) > #require(LogPosition(text: "0/FFFFFFFF")))
    }

    private func end(insert: UInt64, flush: UInt64, page: UInt64 = 8192, segment: UInt64 = 16 << 20) -> UInt64 {
        PrimaryLog(insert: .init(insert), flush: .init(flush), pageSize: page, segmentSize: segment).end.value
    }

    @Test func theLogEndsWhereTheNextRecordWouldBeginUnlessThatIsBehindAHeader() {
        let (segment, page): (UInt64, UInt64) = (16 << 20, 8192)
        // In the middle of a page, all on disk or not.
        #expect(end(insert: page + 512, flush: page + 512) == page + 512)
        #expect(end(insert: page + 512, flush: page + 448) == page + 512)
        // A full page, and nothing behind it but the header of the next.
        #expect(end(insert: 3 * page + 24, flush: 3 * page) == 3 * page)
        // A new segment has the long header.
        #expect(end(insert: 5 * segment + 40, flush: 5 * segment) == 5 * segment)
    }

    /// A record that goes on over the page's end can leave 16 bytes there, so that the position looks like one behind a long header.
    @Test func bytesOfARecordBehindAHeaderAreNotTakenForTheHeader() {
        let (segment, page): (UInt64, UInt64) = (16 << 20, 8192)
        #expect(end(insert: 3 * page + 40, flush: 3 * page) == 3 * page + 40)
        #expect(end(insert: 3 * page + 32, flush: 3 * page) == 3 * page + 32)
        #expect(end(insert: 5 * segment + 48, flush: 5 * segment) == 5 * segment + 48)
        // With other sizes the same place is another one.
        #expect(end(insert: 8192 + 24, flush: 8192, page: 16384) == 8192 + 24)
        #expect(end(insert: 8192 + 24, flush: 8192, page: 0) == 8192 + 24)
    }
}
