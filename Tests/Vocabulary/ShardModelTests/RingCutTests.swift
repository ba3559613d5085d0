import ShardModel
import Testing

@Suite struct RingCutTests {
    @Test(arguments: [1, 2, 3, 5, 7, 64, 1000], [1, 3, 256])
    func theCutIsWholeAndEven(shards: Int, vnodesEach: Int) throws {
        let vnodes = RingCut.even(over: shards, vnodesEach: vnodesEach, after: 41)
        let ring = try HashRing(vnodes)
        #expect(ring.rangeCount == shards)
        let widths = vnodes.joined().map(\.range.width)
        #expect(widths.max()! - widths.min()! <= 1)
        #expect(vnodes.joined().map(\.id) == Array(42..<UInt32(42 + shards * vnodesEach)))
    }

    /// Keys, not only ranges: what a user would see.
    @Test func keysSpreadEvenly() throws {
        let ring = try HashRing(RingCut.even(over: 8, vnodesEach: 256, after: 0))
        var counts = [Int](repeating: 0, count: 8)
        for key in 0..<80_000 { counts[ring.owner(of: Token(hashing: Array("user-\(key)".utf8).span.bytes)).value] += 1 }
        for count in counts { #expect(abs(count - 10_000) < 500) }
    }
}
