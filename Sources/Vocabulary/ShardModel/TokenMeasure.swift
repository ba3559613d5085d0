/// How much there is below each token: what a ring is shared out by.
///
/// Measured, it is what sampled rows weigh, and a little for every token, so that tokens without rows are shared out as well. Whole numbers: weights of ranges that follow
/// each other add up exactly.
package struct TokenMeasure: Hashable, Sendable {
    /// Every token weighs the same.
    package static let even = TokenMeasure([])

    /// Sorted; of samples that weigh something.
    private let tokens: [UInt64]
    /// Of the samples before the one at the same position; one more than there are.
    private let sums: [UInt128]

    /// All samples together weigh so many times what all tokens do.
    private static let samplesShare: UInt128 = 63

    /// - samples: tokens of rows, and what each stands for, in any unit; a sample with another weight than a finite one above zero counts for nothing. None: `even`.
    package init(_ samples: [(token: Token, weight: Double)]) {
        let counting = samples.filter { $0.weight > 0 && $0.weight.isFinite }.sorted { $0.token.value < $1.token.value }
        let total = counting.reduce(0) { $0 + $1.weight }
        tokens = counting.map(\.token.value)
        var sums: [UInt128] = [0]
        sums.reserveCapacity(counting.count + 1)
        let unit = Double(TokenRange.whole.width) * Double(Self.samplesShare) / total
        for sample in counting { sums.append(sums[sums.count - 1] + UInt128(sample.weight * unit)) }
        self.sums = sums
    }

    package var isEven: Bool { tokens.isEmpty }

    package func weight(of range: TokenRange) -> UInt128 { below(UInt128(range.end) + 1) - below(UInt128(range.start)) }

    /// The token from which on the range weighs `quota`, or as near to it as a border between two tokens comes. nil: no border within the range is nearer than its ends are.
    package func border(in range: TokenRange, above quota: UInt128) -> Token? {
        guard range.start < range.end else { return nil }
        let end = below(UInt128(range.end) + 1)
        func above(_ token: UInt64) -> UInt128 { end - below(UInt128(token)) }
        // The lowest token from which on there is no more than that.
        var (low, high) = (UInt128(range.start), UInt128(range.end) + 1)
        while low < high {
            let middle = low + (high - low) / 2
            if end - below(middle) <= quota { high = middle } else { low = middle + 1 }
        }
        let candidates = [low, low == 0 ? 0 : low - 1].filter { $0 > UInt128(range.start) && $0 <= UInt128(range.end) }.map { UInt64($0) }
        func miss(_ weight: UInt128) -> UInt128 { weight > quota ? weight - quota : quota - weight }
        guard let best = candidates.min(by: { miss(above($0)) < miss(above($1)) }) else { return nil }
        let ends = min(miss(0), miss(above(range.start)))
        return miss(above(best)) < ends ? Token(best) : nil
    }

    /// Precondition: 0 ... 2^64.
    private func below(_ token: UInt128) -> UInt128 {
        var (low, high) = (0, tokens.count)
        while low < high {
            let middle = (low + high) / 2
            if UInt128(tokens[middle]) < token { low = middle + 1 } else { high = middle }
        }
        return token + sums[low]
    }
}
