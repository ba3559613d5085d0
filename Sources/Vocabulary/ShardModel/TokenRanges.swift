/// Ranges of tokens, searched by halves.
package struct TokenRanges: Hashable, Sendable {
    /// Sorted, without overlap.
    package let ranges: [TokenRange]

    /// Precondition: they are sorted, and do not overlap.
    package init(_ ranges: [TokenRange]) { self.ranges = ranges }

    /// The position of the range that holds the token; nil: none does.
    package func position(of token: Token) -> Int? {
        let position = firstPosition(endingFrom: token.value)
        return position < ranges.count && ranges[position].start <= token.value ? position : nil
    }

    package func contains(_ token: Token) -> Bool { position(of: token) != nil }

    /// The first range that ends at `value` or behind it; behind the last where there is none.
    package func firstPosition(endingFrom value: UInt64) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].end < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
