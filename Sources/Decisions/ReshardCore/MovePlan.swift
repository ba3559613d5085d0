package import ShardModel

/// Which vnodes a request moves, and which have to be cut for it.
package struct MovePlan: Hashable, Sendable {
    package var kind: JobKind
    package var database: String
    /// By start of the range, source after source.
    package var moves: [VNodeMove]
    /// Sources whose vnodes are cut, as they are then. No token changes its owner by it; to be committed together with the job.
    package var cut: [ShardRecord]

    /// Plans on the catalog as it is; whoever commits the job plans anew on the catalog that the commit expects.
    ///
    /// - measure: what a source is shared out by, where the request does not say what goes. Where that leaves a part with nothing (one key has nearly all there is), it is
    ///   the number of tokens.
    package static func make(_ request: MoveRequest, in catalog: CatalogSnapshot, by measure: TokenMeasure = .even) throws(MoveRefusal) -> MovePlan {
        let database = try check(request, in: catalog)
        do throws(MoveRefusal) {
            return try plan(request, database, in: catalog, by: measure)
        } catch {
            guard !measure.isEven, isForWantOfParts(error, in: catalog) else { throw error }
            return try plan(request, database, in: catalog, by: .even)
        }
    }

    /// Somebody would get, or keep, nothing.
    private static func isForWantOfParts(_ refusal: MoveRefusal, in catalog: CatalogSnapshot) -> Bool {
        switch refusal {
        case .tooSmall: true
        case .hasItsShare(let target): catalog.shards[target]?.vnodes.isEmpty == true
        default: false
        }
    }

    private static func plan(
        _ request: MoveRequest, _ database: String, in catalog: CatalogSnapshot, by measure: TokenMeasure
    ) throws(MoveRefusal) -> MovePlan {
        let members = catalog.shards.values.filter { $0.database == database && !$0.isJoining }
        let before: RingLayout
        let after: RingLayout
        do throws(RingError) {
            before = try RingLayout(Dictionary(uniqueKeysWithValues: members.map { ($0.id, $0.vnodes) }))
            after = try layout(of: request, from: before, catalog, by: measure)
        } catch {
            throw .ring(error)
        }
        return try plan(request, database, before, after, catalog)
    }

    /// The database of all the shards that are named.
    private static func check(_ request: MoveRequest, in catalog: CatalogSnapshot) throws(MoveRefusal) -> String {
        let (sources, targets) = (request.sources(in: catalog), request.targets(in: catalog))
        if case .fill(let id) = request { try checkIsNotAlone(id, sources, in: catalog) }
        if case .drain(let id) = request { try checkIsNotAlone(id, targets, in: catalog) }
        if sources.isEmpty { throw .noSource }
        if targets.isEmpty { throw .noTarget }
        for list in [sources, targets] {
            var seen: Set<ShardID> = []
            if let twice = list.first(where: { !seen.insert($0).inserted }) { throw .duplicate(twice) }
        }
        if let both = sources.first(where: targets.contains) { throw .sourceIsTarget(both) }
        var database: String?
        for id in sources + targets {
            guard let shard = catalog.shards[id] else { throw .unknownShard(id) }
            if let database, database != shard.database { throw .databases(database, shard.database) }
            database = shard.database
        }
        for id in sources where catalog.shards[id]?.vnodes.isEmpty != false { throw .ownsNothing(id) }
        for id in targets {
            if let shard = catalog.shards[id], !shard.isJoining, shard.status != .active { throw .notActive(id, shard.status) }
        }
        if case .split(_, let targets, _?) = request, targets.count > 1 { throw .borderWithSeveralTargets }
        if case .move(let vnodes, let source, _) = request {
            var seen: Set<UInt32> = []
            if let twice = vnodes.first(where: { !seen.insert($0).inserted }) { throw .duplicateVNode(twice) }
            let owned = Set(catalog.shards[source]?.vnodes.map(\.id) ?? [])
            if let stranger = vnodes.first(where: { !owned.contains($0) }) { throw .unknownVNode(stranger, source) }
        }
        return database ?? ""
    }

    private static func checkIsNotAlone(_ id: ShardID, _ others: [ShardID], in catalog: CatalogSnapshot) throws(MoveRefusal) {
        guard catalog.shards[id] != nil else { throw .unknownShard(id) }
        if others.isEmpty { throw .alone(id) }
    }

    /// Targets appear as shards that are new to the ring: what they own already counts for nothing. Not so where it counts: see `heir`.
    private static func layout(of request: MoveRequest, from before: RingLayout, _ catalog: CatalogSnapshot, by measure: TokenMeasure) throws(RingError) -> RingLayout {
        var planner = RingPlanner(before, by: measure)
        switch request {
        case .split(let source, let targets, let border?) where targets.count == 1: try planner.split(source, at: border, into: alias(0))
        case .split(let source, let targets, _) where targets.count == 1: try planner.split(source, into: alias(0))
        case .split(let source, let targets, _): try planner.divide(source, into: targets.indices.map(alias))
        case .merge(let sources, _):
            let steps = sources.map { RingStep.move(vnodes: before.vnodes[$0, default: []].map(\.id), from: $0, to: alias(0)) }
            return try before.applying([.add(alias(0))] + steps)
        case .move(let vnodes, let source, _): return try before.applying([.add(alias(0)), .move(vnodes: vnodes, from: source, to: alias(0))])
        case .fill(let target): try planner.fill(target, from: request.sources(in: catalog))
        case .drain(let source): try planner.remove(source, into: request.targets(in: catalog))
        }
        return planner.layout
    }

    /// What the target at a position is called in the layout.
    private static func heir(_ request: MoveRequest, _ position: Int, _ target: ShardID) -> ShardID {
        switch request {
        case .fill, .drain: target
        case .split, .merge, .move: alias(position)
        }
    }

    /// The name of no shard: ids have no such character.
    private static func alias(_ position: Int) -> ShardID { ShardID("\u{0}\(position)") }

    private static func plan(
        _ request: MoveRequest, _ database: String, _ before: RingLayout, _ after: RingLayout, _ catalog: CatalogSnapshot
    ) throws(MoveRefusal) -> MovePlan {
        var plan = MovePlan(kind: request.kind, database: database, moves: [], cut: [])
        for source in request.sources(in: catalog) {
            var owned = after.vnodes[source, default: []]
            var moves: [VNodeMove] = []
            // No vnode is of two: the ring is cut, and never joined.
            let tokens = TokenRanges(before.vnodes[source, default: []].map(\.range))
            for (position, target) in request.targets(in: catalog).enumerated() {
                let moved = after.vnodes[heir(request, position, target), default: []].filter { tokens.contains(Token($0.range.start)) }
                moves += moved.map { VNodeMove(vnode: $0, source: source, target: target) }
                owned += moved
            }
            plan.moves += moves.sorted { $0.vnode.range.start < $1.vnode.range.start }
            owned.sort { $0.range.start < $1.range.start }
            if owned != before.vnodes[source], var record = catalog.shards[source] {
                record.vnodes = owned
                plan.cut.append(record)
            }
        }
        try check(plan, request, after)
        return plan
    }

    /// Every target gets something, and a source that is to keep a part does.
    private static func check(_ plan: MovePlan, _ request: MoveRequest, _ after: RingLayout) throws(MoveRefusal) {
        guard case .split(let source, let targets, let border) = request else {
            guard plan.moves.isEmpty else { return }
            if case .fill(let target) = request { throw .hasItsShare(target) }
            throw .noVNodes
        }
        let isKept = targets.count > 1 || after.load(of: source) > 0
        if isKept, targets.indices.allSatisfy({ after.load(of: alias($0)) > 0 }) { return }
        if let border { throw .border(border) }
        throw .tooSmall(source)
    }
}
