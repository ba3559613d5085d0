/// Why vnodes do not make a ring, or why an operation on a ring cannot be done. Nothing has changed when one is thrown.
package enum RingError: Error, Hashable, Sendable {
    /// No shard owns any vnode.
    case empty
    /// Nobody owns `token`, the first of those without an owner.
    case gap(at: Token)
    /// Two vnodes hold `token`.
    case overlap(at: Token)
    /// More shards than `HashRing.shardsMax`.
    case tooManyShards(Int)
    /// Two vnodes of one database have this id.
    case duplicateVNode(UInt32)
    /// No id is left for another vnode.
    case vnodesExhausted
    case unknownVNode(UInt32)
    /// The vnode belongs to another shard than the move takes it from.
    case notOwner(vnode: UInt32, shard: ShardID)
    /// The vnode cannot be cut there: each part needs at least one token.
    case cannotCut(vnode: UInt32)
    case unknownShard(ShardID)
    case duplicateShard(ShardID)
    /// A shard that still owns a vnode cannot leave the ring.
    case notEmpty(ShardID, vnode: UInt32)
    /// The only shard of the ring cannot give it up.
    case lastShard(ShardID)
}
