package import ShardModel

/// What an operator asks for.
package enum MoveRequest: Hashable, Sendable {
    /// One target: the source keeps half, or what lies below `border`. Several: they share all of it, and the source keeps nothing.
    case split(source: ShardID, targets: [ShardID], border: Token?)
    /// All of the sources goes to the target.
    case merge(sources: [ShardID], target: ShardID)
    case move(vnodes: [UInt32], source: ShardID, target: ShardID)

    /// The shard gets what it lacks of a fair share, from those that have the most.
    case fill(ShardID)
    /// All of the shard goes to the others, most to those that have the least.
    case drain(ShardID)

    package var kind: JobKind {
        switch self {
        case .split: .split
        case .merge: .merge
        case .move, .fill, .drain: .move
        }
    }

    /// The shard that is filled or emptied: how much goes where is up to what all have.
    package var evened: ShardID? {
        switch self {
        case .fill(let shard), .drain(let shard): shard
        case .split, .merge, .move: nil
        }
    }

    /// Those that may give something.
    package func sources(in catalog: CatalogSnapshot) -> [ShardID] {
        switch self {
        case .split(let source, _, _), .move(_, let source, _), .drain(let source): [source]
        case .merge(let sources, _): sources
        case .fill(let target): Self.owners(beside: target, in: catalog)
        }
    }

    /// Those that may get something.
    package func targets(in catalog: CatalogSnapshot) -> [ShardID] {
        switch self {
        case .split(_, let targets, _): targets
        case .merge(_, let target), .move(_, _, let target), .fill(let target): [target]
        case .drain(let source): Self.owners(beside: source, in: catalog)
        }
    }

    /// The other active shards of its database that own something. What owns nothing joins, or is to be removed.
    private static func owners(beside id: ShardID, in catalog: CatalogSnapshot) -> [ShardID] {
        guard let database = catalog.shards[id]?.database else { return [] }
        return catalog.shards.values.filter { $0.database == database && $0.id != id && $0.status == .active && !$0.vnodes.isEmpty }.map(\.id).sorted()
    }
}

/// Why nothing can be moved as asked. Nothing was changed.
package enum MoveRefusal: Error, Hashable, Sendable {
    case unknownShard(ShardID)
    case noSource
    case noTarget
    case duplicate(ShardID)
    case sourceIsTarget(ShardID)
    /// The shards are of more than one database.
    case databases(String, String)
    case ownsNothing(ShardID)
    case notActive(ShardID, ShardStatus)
    case unknownVNode(UInt32, ShardID)
    case duplicateVNode(UInt32)
    case noVNodes
    case borderWithSeveralTargets
    /// Nothing of the source lies on one side of it.
    case border(Token)
    /// The source has too few tokens.
    case tooSmall(ShardID)
    /// There is no other shard that could give, or take, anything.
    case alone(ShardID)
    /// As much as the others, or nothing that could be moved to it would bring it nearer to that.
    case hasItsShare(ShardID)
    case ring(RingError)
}

extension MoveRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknownShard(let id): "there is no shard \(id)"
        case .noSource: "no source is named"
        case .noTarget: "no target is named"
        case .duplicate(let id): "shard \(id) is named twice"
        case .sourceIsTarget(let id): "shard \(id) is both a source and a target"
        case .databases(let one, let other): "the shards are of different databases, \(one) and \(other)"
        case .ownsNothing(let id): "shard \(id) owns no vnode, so there is nothing to move from it"
        case .notActive(let id, let status): "shard \(id) is \(status.rawValue); a target must be active, or joining"
        case .unknownVNode(let vnode, let id): "vnode \(vnode) is none of shard \(id)"
        case .duplicateVNode(let vnode): "vnode \(vnode) is named twice"
        case .noVNodes: "no vnodes are named"
        case .borderWithSeveralTargets: "a split point goes with one target only"
        case .border(let token): "the source has tokens on one side of \(token) only"
        case .tooSmall(let id): "shard \(id) has too few tokens to be split into so many parts"
        case .alone(let id): "there is no other active shard of the database that owns anything beside shard \(id); name the shards: split, or merge"
        case .hasItsShare(let id): "shard \(id) has its fair share, as near as whole keys come to it"
        case .ring(let error): "the ring does not allow it: \(error)"
        }
    }
}
