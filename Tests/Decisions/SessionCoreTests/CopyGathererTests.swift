import NIOCore
import RoutePlanning
import SessionCore
import ShardModel
import Testing

@Suite struct CopyGathererTests {
    private let table = QualifiedName(schema: "public", name: "t")

    private func take(_ gatherer: inout CopyGatherer, _ data: [UInt8], from shard: Int) throws -> [UInt8]? {
        try gatherer.take(ByteBuffer(bytes: data), from: shard).map { Array($0.readableBytesView) }
    }

    @Test func rowsOfTextPassAsTheyAre() throws {
        var gatherer = CopyGatherer(GatherCopy(table: table), shards: 2)
        #expect(try take(&gatherer, [1, 2], from: 1) == [1, 2])
        #expect(try take(&gatherer, [3], from: 0) == [3])
        #expect(gatherer.isComplete(0) && gatherer.isComplete(1))
    }

    @Test func theLineOfNamesIsTheFirstShards() throws {
        var gatherer = CopyGatherer(GatherCopy(table: table, hasHeaderLine: true), shards: 3)
        #expect(try take(&gatherer, [7, 8], from: 1) == nil)
        #expect(try take(&gatherer, [7, 8], from: 1) == [7, 8], "a row that looks like it")
        #expect(try take(&gatherer, [7, 8], from: 0) == [7, 8])
        #expect(!gatherer.isComplete(2))
        #expect(throws: CopyGatherer.Fault.headersDiffer) { try take(&gatherer, [8, 7], from: 2) }
    }

    @Test func oneHeaderAndNoTrailerOfBinaryData() throws {
        let (header, trailer) = (BinaryCopyForm.header, BinaryCopyForm.trailer)
        var gatherer = CopyGatherer(GatherCopy(table: table, isBinary: true), shards: 4)
        #expect(try take(&gatherer, header + [0, 0], from: 1) == [0, 0])
        #expect(try take(&gatherer, header + [0, 1], from: 0) == header + [0, 1])
        #expect(!gatherer.isComplete(0))
        for shard in 0...1 {
            #expect(try take(&gatherer, [0, 1, 255, 255], from: shard) == [0, 1, 255, 255])
            #expect(try take(&gatherer, trailer, from: shard) == nil)
            #expect(gatherer.isComplete(shard))
        }
        // A shard without a row.
        #expect(try take(&gatherer, header + trailer, from: 2) == nil)
        #expect(gatherer.isComplete(2))
        for data in [Array(header.dropLast()), [0, 0], Array(header.reversed())] {
            #expect(throws: CopyGatherer.Fault.malformed) { try take(&gatherer, data, from: 3) }
        }
        #expect(throws: CopyGatherer.Fault.malformed) { try take(&gatherer, [0, 0], from: 2) }
        var empty = CopyGatherer(GatherCopy(table: table, isBinary: true), shards: 1)
        #expect(try take(&empty, header + trailer, from: 0) == header)
    }
}
