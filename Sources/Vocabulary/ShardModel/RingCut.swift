/// Cuts the ring evenly: an equal contiguous range for each shard, each cut into the database's number of vnodes.
///
/// Only for a database without tables: no row moves.
package enum RingCut {
    /// The vnodes of each of `shards`, in their order. Ids start above `lastID`, so that none is used again.
    ///
    /// Precondition: at least one shard and one vnode a shard, and ids enough: `lastID + shards * vnodesEach <= UInt32.max`.
    package static func even(over shards: Int, vnodesEach: Int, after lastID: UInt32) -> [[VNode]] {
        precondition(shards > 0 && vnodesEach > 0)
        let total = shards * vnodesEach
        return (0..<shards).map { shard in
            (0..<vnodesEach).map { position in
                let global = shard * vnodesEach + position
                let end = global == total - 1 ? UInt64.max : start(global + 1, of: total) - 1
                return VNode(id: lastID + UInt32(global) + 1, range: TokenRange(start(global, of: total)...end))
            }
        }
    }

    /// 2^64 * position / total, in 128 bits, so that the last range ends exactly at 2^64 - 1.
    private static func start(_ position: Int, of total: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: (UInt128(1) << 64) * UInt128(position) / UInt128(total))
    }
}

extension TokenRange {
    /// How many tokens it holds, 1 ... 2^64.
    package var width: UInt128 { UInt128(end) - UInt128(start) + 1 }
}
