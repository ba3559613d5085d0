internal import ShardModel

/// Cuts the ring evenly: an equal contiguous range for each shard, each cut into the database's number of vnodes.
///
/// Only for a database without tables: no row moves.
enum RingCut {
    /// The vnodes of each of `shards`, in their order. Ids start above `lastID`, so that none is used again.
    ///
    /// Precondition: at least one shard and one vnode a shard.
    static func even(over shards: Int, vnodesEach: Int, after lastID: UInt32) -> [[VNode]] {
        precondition(shards > 0 && vnodesEach > 0)
        let total = shards * vnodesEach
        // 2^64 divided by the number of vnodes, in 128 bits: the last range ends exactly at 2^64 - 1.
        func start(_ position: Int) -> UInt64 {
            UInt64(truncatingIfNeeded: (UInt128(1) << 64) * UInt128(position) / UInt128(total))
        }
        return (0..<shards).map { shard in
            (0..<vnodesEach).map { position in
                let global = shard * vnodesEach + position
                let end = global == total - 1 ? UInt64.max : start(global + 1) - 1
                return VNode(id: lastID + UInt32(global) + 1, range: TokenRange(start(global)...end))
            }
        }
    }
}
