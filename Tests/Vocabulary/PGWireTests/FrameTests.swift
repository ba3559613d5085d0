import NIOCore
import PGWire
import Testing
import WireFuzzing

@Suite struct FrameTests {
    @Test func aHeaderIsGivenOnceItsFiveBytesAreThere() throws {
        var buffer = ByteBuffer()
        buffer.writeQuery("SELECT 1")
        for count in 0..<5 {
            #expect(try FrameHeader.next(in: buffer.getSlice(at: 0, length: count)!, limit: 100) == nil)
        }
        let header = try #require(try FrameHeader.next(in: buffer.getSlice(at: 0, length: 5)!, limit: 100))
        #expect(header.kind == FrontendKind.query)
        #expect(header.totalLength == buffer.readableBytes)
        #expect(header.bodyLength == 9)
    }

    @Test func aHeaderCanBeReadFurtherOnInTheBuffer() throws {
        var buffer = ByteBuffer()
        buffer.writeSync()
        let second = buffer.writerIndex
        buffer.writeExecute(rowsMax: 3)
        let header = try #require(try FrameHeader.next(in: buffer, at: second, limit: 100))
        #expect(header.kind == FrontendKind.execute)
        #expect(try ExecuteMessage(body: buffer.frameBody(header, at: second)!).rowsMax == 3)
        #expect(buffer.readerIndex == 0)
    }

    @Test(arguments: [Int32.min, -1, 0, 1, 3]) func aLengthBelowFourIsRefused(_ length: Int32) {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(FrontendKind.query, length)
        #expect(throws: WireError(.invalidLength, kind: FrontendKind.query)) { try FrameHeader.next(in: buffer, limit: 1000) }
        #expect(throws: WireError(.invalidLength, kind: FrontendKind.query)) { try buffer.readFrame(limit: 1000) }
    }

    @Test func theLimitCountsTheWholeMessageAndItsEdgeIsAllowed() throws {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(FrontendKind.query, 99 as Int32)
        #expect(try FrameHeader.next(in: buffer, limit: 100)?.totalLength == 100)
        #expect(throws: WireError(.messageTooLarge, kind: FrontendKind.query)) { try FrameHeader.next(in: buffer, limit: 99) }
    }

    @Test func aHostileLengthMakesNothingGrow() throws {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(FrontendKind.query, Int32.max)
        let capacity = buffer.capacity
        #expect(throws: WireError.self) { try buffer.readFrame(limit: WireLimits().messageMax) }
        // Within the limit, but not there: nothing but the header is looked at.
        #expect(try buffer.readFrame(limit: .max) == nil)
        #expect(buffer.capacity == capacity)
    }

    @Test func framesFedByteByByteAreThoseOfTheWholeStream() throws {
        var stream = CapturedSession.server
        var received = ByteBuffer()
        var frames: [Frame] = []
        while let byte = stream.readInteger(as: UInt8.self) {
            received.writeInteger(byte)
            while let frame = try received.readFrame(limit: 1000) { frames.append(frame) }
        }
        #expect(received.readableBytes == 0)
        #expect(frames == (try CapturedSession.serverFrames()))
        #expect(frames.count > 60)
    }

    @Test func queriesHaveALimitOfTheirOwn() {
        var limits = WireLimits()
        limits.queryMax = 10
        #expect(limits.limit(forFrontendKind: FrontendKind.parse) == 10)
        #expect(limits.limit(forFrontendKind: FrontendKind.query) == 10)
        #expect(limits.limit(forFrontendKind: FrontendKind.bind) == limits.messageMax)
    }
}
