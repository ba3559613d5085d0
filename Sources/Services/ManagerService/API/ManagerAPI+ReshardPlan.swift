internal import ControlAPI
internal import RESTServer
internal import ReshardCore
internal import ShardModel

extension ManagerAPI {
    /// What would move. Rows and bytes are the moved part of what the source's statistics say of the database's sharded tables.
    func plan(_ request: RESTRequest) async throws -> RESTAnswer {
        let catalog = try await writer.load()
        let plan = try Self.plan(try Self.wanted(request), in: catalog)
        let record = JobRecord(id: JobID(""), kind: plan.kind, database: plan.database, moves: plan.moves)
        let conflict = Self.conflict(of: record, with: catalog.jobs.values.filter { !$0.isOver }.sorted { $0.id < $1.id }, in: catalog)
        if let conflict, conflict.code == .reshardRefused { throw conflict }
        let figures = try await Self.onEach(record.sources.compactMap { catalog.shards[$0] }) { try? await inspector.figures($0.primaryEndpoint) }
        let sharded = Set(Self.tables(of: plan.database, in: catalog).filter(\.isSharded).map(\.name))
        let groups = Dictionary(grouping: plan.moves) { [$0.source, $0.target] }.sorted { ($0.key[0], $0.key[1]) < ($1.key[0], $1.key[1]) }
        let moves = groups.map { pair, moves in
            let tokens = Self.width(moves.map(\.vnode))
            let share = tokens / Self.width(catalog.shards[pair[0]]?.vnodes ?? [])
            let tables = (figures[pair[0]] ?? nil)?.tables.filter { sharded.contains($0.name) }
            return ReshardPlanAnswer.Move(
                sourceShard: pair[0].name, targetShard: pair[1].name, vnodes: moves.count, shareOfRing: tokens / Double(TokenRange.whole.width),
                shareOfSource: share, rowEstimate: tables.map { Int64(Double($0.reduce(0) { $0 + $1.rowEstimate }) * share) },
                byteEstimate: tables.map { Int64(Double($0.reduce(0) { $0 + $1.bytes }) * share) })
        }
        return .json(
            ReshardPlanAnswer(
                type: plan.kind.rawValue, database: plan.database, moves: moves, cuts: Self.cuts(plan, in: catalog),
                retiring: Self.retiring(plan, in: catalog).map(\.name), conflict: conflict?.details?["job"]?.stringValue))
    }

    private static func wanted(_ request: RESTRequest) throws(APIError) -> MoveRequest {
        func list(_ name: String) -> [String] { (request.query[name] ?? "").split(separator: ",").map(String.init) }
        let (sources, targets) = (list("source"), list("target"))
        func only(_ shards: [String], _ name: String) throws(APIError) -> ShardID {
            guard shards.count == 1 else { throw APIError(.invalidRequest, "query parameter \(name) must name one shard") }
            return ShardID(shards[0])
        }
        switch request.query["type"] {
        case JobKind.split.rawValue: return try split(try only(sources, "source").name, targets, request.query["split_point"])
        case JobKind.merge.rawValue: return .merge(sources: sources.map { ShardID($0) }, target: try only(targets, "target"))
        case JobKind.move.rawValue:
            let vnodes = try list("vnodes").map { (text) throws(APIError) in
                guard let id = UInt32(text) else { throw APIError(.invalidRequest, "query parameter vnodes must be ids of vnodes, separated by commas") }
                return id
            }
            return .move(vnodes: vnodes, source: try only(sources, "source"), target: try only(targets, "target"))
        default: throw APIError(.invalidRequest, "query parameter type must be split, merge or move")
        }
    }

    private static func width(_ vnodes: [VNode]) -> Double { vnodes.reduce(0) { $0 + Double($1.range.width) } }

    private static func cuts(_ plan: MovePlan, in catalog: CatalogSnapshot) -> Int {
        plan.cut.reduce(0) { $0 + $1.vnodes.count - (catalog.shards[$1.id]?.vnodes.count ?? 0) }
    }

    private static func retiring(_ plan: MovePlan, in catalog: CatalogSnapshot) -> [ShardID] {
        Dictionary(grouping: plan.moves, by: \.source).filter { source, moves in
            let owned = (plan.cut.first { $0.id == source } ?? catalog.shards[source])?.vnodes.count ?? 0
            return owned == moves.count
        }.keys.sorted()
    }
}

extension TableRecord {
    fileprivate var isSharded: Bool { if case .sharded = placement { true } else { false } }
}
