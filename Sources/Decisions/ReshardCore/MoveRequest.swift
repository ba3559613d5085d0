package import ShardModel

/// What an operator asks for.
package enum MoveRequest: Hashable, Sendable {
    /// One target: the source keeps half, or what lies below `border`. Several: they share all of it, and the source keeps nothing.
    case split(source: ShardID, targets: [ShardID], border: Token?)
    /// All of the sources goes to the target.
    case merge(sources: [ShardID], target: ShardID)
    case move(vnodes: [UInt32], source: ShardID, target: ShardID)

    package var kind: JobKind {
        switch self {
        case .split: .split
        case .merge: .merge
        case .move: .move
        }
    }

    package var sources: [ShardID] {
        switch self {
        case .split(let source, _, _), .move(_, let source, _): [source]
        case .merge(let sources, _): sources
        }
    }

    package var targets: [ShardID] {
        switch self {
        case .split(_, let targets, _): targets
        case .merge(_, let target), .move(_, _, let target): [target]
        }
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
        case .ring(let error): "the ring does not allow it: \(error)"
        }
    }
}
