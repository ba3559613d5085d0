import ShardModel
import Testing

@Suite struct TokenMeasureTests {
    private static func samples(_ count: Int, in range: ClosedRange<UInt64>, each weight: Double = 1) -> [(token: Token, weight: Double)] {
        (0..<count).map { _ in (Token(.random(in: range)), weight) }
    }

    private static let quarter = UInt64.max / 4

    @Test func withoutSamplesItIsTheNumberOfTokens() {
        for measure in [TokenMeasure.even, TokenMeasure([]), TokenMeasure([(Token(7), 0), (Token(8), -1), (Token(9), .nan), (Token(10), .infinity)])] {
            #expect(measure.isEven && measure.weight(of: .whole) == TokenRange.whole.width)
            #expect(measure.weight(of: TokenRange(5...9)) == 5)
            #expect(measure.border(in: TokenRange(100...199), above: 30) == Token(170))
            #expect(measure.border(in: TokenRange(100...100), above: 1) == nil)
        }
    }

    @Test func rangesThatFollowEachOtherAddUp() {
        let measure = TokenMeasure(Self.samples(500, in: 0...UInt64.max, each: 3.7))
        for _ in 0..<200 {
            let border = UInt64.random(in: 1...UInt64.max)
            #expect(
                measure.weight(of: TokenRange(0...(border - 1))) + measure.weight(of: TokenRange(border...UInt64.max)) == measure.weight(of: .whole))
        }
        #expect(measure.weight(of: TokenRange(0...0)) > 0, "tokens without rows count as well")
    }

    @Test func whereThereAreMoreRowsThereIsMore() {
        let measure = TokenMeasure(Self.samples(900, in: 0...Self.quarter) + Self.samples(100, in: (3 * Self.quarter)...UInt64.max))
        let low = Double(measure.weight(of: TokenRange(0...Self.quarter))) / Double(measure.weight(of: .whole))
        #expect(low > 0.85 && low < 0.95)
        let border = measure.border(in: .whole, above: measure.weight(of: .whole) / 2)
        #expect(border.map { $0.value < Self.quarter } == true)
    }

    /// What lies at one token cannot be parted: the border is on one side of it, or there is none.
    @Test func aHeavyTokenStaysWhole() throws {
        let heavy = Token(1 << 40)
        let measure = TokenMeasure([(heavy, 1000)] + Self.samples(100, in: 0...(1 << 41)))
        for part in 1..<20 {
            let quota = measure.weight(of: .whole) * UInt128(part) / 20
            guard let border = measure.border(in: .whole, above: quota) else { continue }
            #expect(border.value > 0)
            let above = measure.weight(of: TokenRange(border.value...UInt64.max))
            let miss = above > quota ? above - quota : quota - above
            // Any other border is as far away, or farther.
            for other in [border.value &- 1, border.value &+ 1] where other > 0 {
                let there = measure.weight(of: TokenRange(other...UInt64.max))
                #expect((there > quota ? there - quota : quota - there) >= miss)
            }
        }
        // All of it is at the last token: what is cut off below is worth nothing.
        let last = TokenMeasure([(Token(99), 1)])
        #expect(last.border(in: TokenRange(98...99), above: 3) == nil)
    }
}
