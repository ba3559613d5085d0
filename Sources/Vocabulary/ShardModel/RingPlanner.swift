/// Plans changes of a ring that move as few keys as the change needs. What a shard has is told by `TokenMeasure`: tokens, or rows.
///
/// A plan is a list of `RingStep`s; `layout` is what they lead to. Vnodes move whole where they are small against a shard, and are cut where they
/// are not, so that the shares come out even either way. Neighbours move together, so that they stay one range in the router's table.
package struct RingPlanner: Sendable {
    package private(set) var layout: RingLayout
    package private(set) var steps: [RingStep] = []
    private var lastID: UInt32
    private let measure: TokenMeasure

    package init(_ layout: RingLayout, by measure: TokenMeasure = .even) {
        self.layout = layout
        self.measure = measure
        lastID = layout.vnodes.values.joined().map(\.id).max() ?? 0
    }

    /// A share may miss its aim by this part of it before a vnode is cut.
    private static let toleranceDivisor: UInt128 = 128

    /// The vnode gives way to its two halves, under new ids.
    package mutating func cut(vnode id: UInt32) throws(RingError) {
        guard let owner = layout.owner(ofVNode: id), let vnode = layout.vnodes[owner]?.first(where: { $0.id == id }) else {
            throw .unknownVNode(id)
        }
        guard vnode.range.width > 1 else { throw .cannotCut(vnode: id) }
        let border = UInt128(vnode.range.start) + vnode.range.width / 2
        _ = try cut(vnode, at: Token(UInt64(border)))
    }

    package mutating func move(vnodes: [UInt32], from source: ShardID, to target: ShardID) throws(RingError) {
        try perform(.move(vnodes: vnodes, from: source, to: target))
    }

    /// Another shard, with an even share that the fullest give up: from n shards that are even, 1/(n+1) of each.
    /// No key moves between two of the old ones.
    package mutating func add(_ shard: ShardID) throws(RingError) {
        guard layout.vnodes[shard] == nil else { throw .duplicateShard(shard) }
        try fill(shard, from: layout.shards)
    }

    /// What the shard lacks of an even share of what it and the donors have, the fullest of them give up. It may be new, and may have as much already.
    package mutating func fill(_ shard: ShardID, from donors: [ShardID]) throws(RingError) {
        if layout.vnodes[shard] == nil { try perform(.add(shard)) }
        let (own, loads) = (load(of: shard), donors.map(load(of:)))
        let share = (loads.reduce(0, +) + own) / UInt128(donors.count + 1)
        guard share > own else { return }
        let level = Self.levelThatYields(share - own, from: loads)
        // What the donors so far gave too little (or, below zero, too much) because vnodes move whole.
        var carry: Int128 = 0
        for donor in donors {
            let load = load(of: donor)
            guard load > level else { continue }
            carry += Int128(load - level)
            if carry > 0 { carry -= try give(carry, from: donor, to: shard, tolerance: share / Self.toleranceDivisor) }
        }
    }

    /// The shard's vnodes go to the emptiest of the heirs (all others), and the shard leaves the ring. No key moves between two that stay.
    package mutating func remove(_ shard: ShardID, into heirs: [ShardID]? = nil) throws(RingError) {
        guard layout.vnodes[shard] != nil else { throw .unknownShard(shard) }
        let heirs = heirs ?? layout.shards.filter { $0 != shard }
        guard !heirs.isEmpty else { throw .lastShard(shard) }
        let total = load(of: shard)
        let level = Self.levelThatTakes(total, into: heirs.map(load(of:)))
        let tolerance = measure.weight(of: .whole) / UInt128(heirs.count) / Self.toleranceDivisor
        // As in `fill`, of what the heirs got.
        var carry: Int128 = 0
        for heir in heirs {
            let load = load(of: heir)
            guard load < level else { continue }
            carry += Int128(level - load)
            if carry > 0 { carry -= try give(carry, from: shard, to: heir, tolerance: tolerance) }
        }
        try giveAll(from: shard, to: emptiest(of: heirs))
        try perform(.drop(shard))
    }

    /// All of a shard goes to another one, and it leaves the ring.
    package mutating func merge(_ shard: ShardID, into target: ShardID) throws(RingError) {
        guard layout.vnodes[target] != nil else { throw .unknownShard(target) }
        guard shard != target else { throw .duplicateShard(shard) }
        try giveAll(from: shard, to: target)
        try perform(.drop(shard))
    }

    /// The upper half of what a shard owns goes to a new one.
    package mutating func split(_ shard: ShardID, into new: ShardID) throws(RingError) {
        guard layout.vnodes[shard] != nil else { throw .unknownShard(shard) }
        try perform(.add(new))
        let half = load(of: shard) / 2
        _ = try give(Int128(half), from: shard, to: new, tolerance: half / Self.toleranceDivisor)
    }

    /// What a shard owns from `border` on goes to a new one; a vnode with tokens on both sides is cut.
    package mutating func split(_ shard: ShardID, at border: Token, into new: ShardID) throws(RingError) {
        guard let owned = layout.vnodes[shard] else { throw .unknownShard(shard) }
        try perform(.add(new))
        var moved: [UInt32] = []
        for vnode in owned where vnode.range.end >= border.value {
            moved.append(vnode.range.start < border.value ? try cut(vnode, at: border) : vnode.id)
        }
        if !moved.isEmpty { try perform(.move(vnodes: moved, from: shard, to: new)) }
    }

    /// All that a shard owns goes to new ones, in even parts; the shard stays in the ring and owns nothing.
    package mutating func divide(_ shard: ShardID, into new: [ShardID]) throws(RingError) {
        guard layout.vnodes[shard] != nil else { throw .unknownShard(shard) }
        for (position, heir) in new.enumerated() {
            try perform(.add(heir))
            let part = load(of: shard) / UInt128(new.count - position)
            guard position < new.count - 1 else { return try giveAll(from: shard, to: heir) }
            _ = try give(Int128(part), from: shard, to: heir, tolerance: part / Self.toleranceDivisor)
        }
    }
}

// MARK: Straight work

extension RingPlanner {
    private mutating func perform(_ step: RingStep) throws(RingError) {
        try layout.apply(step)
        steps.append(step)
    }

    /// The id of the part from `border` on.
    private mutating func cut(_ vnode: VNode, at border: Token) throws(RingError) -> UInt32 {
        guard lastID <= UInt32.max - 2 else { throw .vnodesExhausted }
        try perform(.cut(vnode: vnode.id, border: border, low: lastID + 1, high: lastID + 2))
        lastID += 2
        return lastID
    }

    private mutating func giveAll(from source: ShardID, to target: ShardID) throws(RingError) {
        guard let all = layout.vnodes[source] else { throw .unknownShard(source) }
        if !all.isEmpty { try perform(.move(vnodes: all.map(\.id), from: source, to: target)) }
    }

    private func emptiest(of shards: [ShardID]) -> ShardID {
        shards.min { (load(of: $0), $0) < (load(of: $1), $1) }!
    }

    private func load(of shard: ShardID) -> UInt128 { layout.vnodes[shard, default: []].reduce(0) { $0 + measure.weight(of: $1.range) } }

    /// Moves about `quota` from the source's upper end. What it moves differs from that by `tolerance` at most, or by less than any border would bring: the rows of one
    /// key stay together.
    private mutating func give(
        _ quota: Int128, from source: ShardID, to target: ShardID, tolerance: UInt128
    ) throws(RingError) -> Int128 {
        var missing = UInt128(quota)
        var moved: [UInt32] = []
        var overshoot: UInt128 = 0
        for vnode in layout.vnodes[source, default: []].reversed() {
            let weight = measure.weight(of: vnode.range)
            if weight <= missing {
                moved.append(vnode.id)
                missing -= weight
                continue
            }
            let excess = weight - missing
            if min(missing, excess) > tolerance, let border = measure.border(in: vnode.range, above: missing) {
                moved.append(try cut(vnode, at: border))
                let part = measure.weight(of: TokenRange(border.value...vnode.range.end))
                (missing, overshoot) = part > missing ? (0, part - missing) : (missing - part, 0)
            } else if excess < missing {
                moved.append(vnode.id)
                missing = 0
                overshoot = excess
            }
            break
        }
        if !moved.isEmpty { try perform(.move(vnodes: moved.reversed(), from: source, to: target)) }
        return quota - Int128(missing) + Int128(overshoot)
    }

    /// The level to which the fullest must come down to yield `amount` together.
    private static func levelThatYields(_ amount: UInt128, from loads: [UInt128]) -> UInt128 {
        let sorted = loads.sorted(by: >)
        var sum: UInt128 = 0
        for (position, load) in sorted.enumerated() {
            sum += load
            let count = UInt128(position + 1)
            guard sum >= amount else { continue }
            let level = (sum - amount) / count
            // Those that hold less than that give nothing.
            if position + 1 == sorted.count || sorted[position + 1] <= level { return level }
        }
        return 0
    }

    /// The level to which the emptiest rise when they take `amount` together.
    private static func levelThatTakes(_ amount: UInt128, into loads: [UInt128]) -> UInt128 {
        let sorted = loads.sorted()
        var sum: UInt128 = 0
        for (position, load) in sorted.enumerated() {
            sum += load
            let level = (sum + amount) / UInt128(position + 1)
            if position + 1 == sorted.count || sorted[position + 1] >= level { return level }
        }
        return 0
    }
}
