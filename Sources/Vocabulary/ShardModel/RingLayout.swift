/// Who owns which vnodes of one database, as operations on the ring change it.
///
/// A value: each operation gives another layout, or throws and leaves this one. Always a whole ring, with ids that are unique.
/// Routers look keys up in `HashRing` instead.
package struct RingLayout: Hashable, Sendable {
    /// Each sorted by start. A shard may own nothing.
    package private(set) var vnodes: [ShardID: [VNode]]

    /// Throws: unless every token has exactly one owner and every id is there once.
    package init(_ vnodes: [ShardID: [VNode]]) throws(RingError) {
        let ring = try HashRing(vnodes.sorted { $0.key < $1.key }.map(\.value))
        var ids: Set<UInt32> = []
        for vnode in ring.vnodesByShard.joined() where !ids.insert(vnode.id).inserted { throw .duplicateVNode(vnode.id) }
        self.vnodes = vnodes.mapValues { $0.sorted { $0.range.start < $1.range.start } }
    }

    /// A new database's layout: see `RingCut`.
    package static func even(over shards: [ShardID], vnodesEach: Int) throws(RingError) -> RingLayout {
        guard !shards.isEmpty, vnodesEach > 0 else { throw .empty }
        var vnodes: [ShardID: [VNode]] = [:]
        for (shard, part) in zip(shards, RingCut.even(over: shards.count, vnodesEach: vnodesEach, after: 0)) {
            guard vnodes.updateValue(part, forKey: shard) == nil else { throw .duplicateShard(shard) }
        }
        return try RingLayout(vnodes)
    }

    /// Sorted by id: the order of `ShardIndex`.
    package var shards: [ShardID] { vnodes.keys.sorted() }

    package func owner(ofVNode id: UInt32) -> ShardID? {
        vnodes.first { $0.value.contains { $0.id == id } }?.key
    }

    /// How many tokens the shard owns, 0 ... 2^64.
    package func load(of shard: ShardID) -> UInt128 {
        vnodes[shard, default: []].reduce(0) { $0 + $1.range.width }
    }
}

// MARK: Steps

/// One change of a layout. A plan is a list of them; the order counts, for a move may name what a cut before it has made.
package enum RingStep: Hashable, Sendable {
    /// The vnode gives way to two: `low` up to `border - 1` and `high` from `border` on. No token changes its owner.
    case cut(vnode: UInt32, border: Token, low: UInt32, high: UInt32)
    /// The vnodes pass to another shard.
    case move(vnodes: [UInt32], from: ShardID, to: ShardID)
    /// A shard that owns nothing yet.
    case add(ShardID)
    /// A shard that owns nothing any more.
    case drop(ShardID)
}

extension RingLayout {
    package func applying(_ steps: [RingStep]) throws(RingError) -> RingLayout {
        var layout = self
        for step in steps { try layout.apply(step) }
        return layout
    }

    /// Nothing is changed when it throws.
    mutating func apply(_ step: RingStep) throws(RingError) {
        switch step {
        case .cut(let id, let border, let low, let high): try cut(id, border, low, high)
        case .move(let ids, let source, let target): try move(ids, source, target)
        case .add(let shard):
            guard vnodes[shard] == nil else { throw .duplicateShard(shard) }
            guard vnodes.count < HashRing.shardsMax else { throw .tooManyShards(vnodes.count + 1) }
            vnodes[shard] = []
        case .drop(let shard):
            guard let owned = vnodes[shard] else { throw .unknownShard(shard) }
            if let first = owned.first { throw .notEmpty(shard, vnode: first.id) }
            vnodes[shard] = nil
        }
    }

    private mutating func cut(_ id: UInt32, _ border: Token, _ low: UInt32, _ high: UInt32) throws(RingError) {
        guard let shard = owner(ofVNode: id), let position = vnodes[shard]?.firstIndex(where: { $0.id == id }) else {
            throw .unknownVNode(id)
        }
        let range = vnodes[shard]![position].range
        guard range.start < border.value, border.value <= range.end else { throw .cannotCut(vnode: id) }
        if low == high || owner(ofVNode: low) != nil { throw .duplicateVNode(low) }
        if owner(ofVNode: high) != nil { throw .duplicateVNode(high) }
        vnodes[shard]!.replaceSubrange(
            position...position,
            with: [
                VNode(id: low, range: TokenRange(range.start...(border.value - 1))),
                VNode(id: high, range: TokenRange(border.value...range.end)),
            ])
    }

    private mutating func move(_ ids: [UInt32], _ source: ShardID, _ target: ShardID) throws(RingError) {
        guard let owned = vnodes[source] else { throw .unknownShard(source) }
        guard let received = vnodes[target] else { throw .unknownShard(target) }
        let moved = Set(ids)
        let present = Set(owned.map(\.id))
        if let stranger = ids.first(where: { !present.contains($0) }) {
            throw owner(ofVNode: stranger) == nil ? .unknownVNode(stranger) : .notOwner(vnode: stranger, shard: source)
        }
        guard source != target else { return }
        vnodes[source] = owned.filter { !moved.contains($0.id) }
        vnodes[target] = (received + owned.filter { moved.contains($0.id) }).sorted { $0.range.start < $1.range.start }
    }
}
