internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// The schema as an open transaction sees it that has changed it: its own plans, which no other session uses.
final class PrivateSchema {
    private(set) var schema: SchemaSnapshot
    private(set) var scope: PlanScope
    /// When the transaction first changed it.
    let shardCount: Int
    /// What the transaction's statements mean for the catalog once they are committed, in order.
    private(set) var changes: [PlacementChange]
    /// Savepoints made since, with the number of changes before each.
    private var savepoints: [(name: String, changeCount: Int)] = []

    init(_ schema: SchemaSnapshot, changes: [PlacementChange], session: ClientSession) {
        self.schema = schema
        self.changes = changes
        shardCount = session.database.topology.shards.count
        scope = Self.makeScope(schema, changes, session)
    }

    /// Another statement changed the schema, which was read again.
    func add(_ changes: [PlacementChange], _ schema: SchemaSnapshot, session: ClientSession) {
        self.changes += changes
        self.schema = schema
        rebase(on: session)
    }

    /// The session's settings have changed, and with them what names mean.
    func rebase(on session: ClientSession) { scope = Self.makeScope(schema, changes, session) }

    private static func makeScope(_ schema: SchemaSnapshot, _ changes: [PlacementChange], _ session: ClientSession) -> PlanScope {
        let placements = changes.reduce(into: session.database.topology.placements) { $1.apply(to: &$0) }
        var context = session.database.planningContext(
            schema, placements: placements, searchPath: session.settings.settings.searchPath, roles: session.roles)
        context.temporary = session.temporary
        context.keepsSequences = session.variables.keepsSequences
        return PlanScope(
            context: context, generation: session.database.generation, loop: session.loop, isForReaders: session.access == .read, privateCapacity: 8)
    }

    // MARK: Savepoints

    func setSavepoint(_ name: String) { savepoints.append((name, changes.count)) }

    func release(_ name: String) {
        if let index = savepoints.lastIndex(where: { $0.name == name }) { savepoints.removeSubrange(index...) }
    }

    /// Forgets what came after the savepoint; false when that is every change.
    func rollBack(to name: String) -> Bool {
        guard let index = savepoints.lastIndex(where: { $0.name == name }) else { return false }
        changes.removeSubrange(savepoints[index].changeCount...)
        savepoints.removeSubrange((index + 1)...)
        return true
    }
}

extension PlacementChange {
    func hasComeAbout(in schema: SchemaSnapshot) -> Bool {
        switch self {
        case .declare(let name, _): schema.relations[name] != nil
        case .forget(let name): schema.relations[name] == nil
        case .rename(let from, let to): schema.relations[from] == nil && schema.relations[to] != nil
        }
    }

    fileprivate func apply(to placements: inout [QualifiedName: Placement]) {
        switch self {
        case .declare(let name, let placement): placements[name] = placement
        case .forget(let name): placements[name] = nil
        case .rename(let from, let to): placements[to] = placements.removeValue(forKey: from)
        }
    }
}
