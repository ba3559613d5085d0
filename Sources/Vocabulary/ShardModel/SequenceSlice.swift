/// The values that one shard draws from a sequence, so that no two shards ever draw the same.
///
/// Each has 2^40 of them, so that those of 8,192 slices are below 2^53, where numbers of JSON and JavaScript are exact.
package struct SequenceSlice: Hashable, Sendable {
    package static let size: Int64 = 1 << 40
    /// More do not fit into a bigint.
    package static let countMax = 1 << 23

    package let number: Int

    /// nil: there is no such slice.
    package init?(number: Int) {
        guard (0..<Self.countMax).contains(number) else { return nil }
        self.number = number
    }

    /// The first one's begin at 1, as a sequence does by itself.
    package var minimum: Int64 { base + 1 }
    package var maximum: Int64 { base + (Self.size - 1) }

    /// What a value of a whole sequence is moved by into the slice.
    package var base: Int64 { Int64(number) * Self.size }
}
