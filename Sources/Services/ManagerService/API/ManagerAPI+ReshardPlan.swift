internal import ControlAPI
internal import RESTServer
internal import ReshardCore
internal import ShardModel

extension ManagerAPI {
    /// How long all rows of a shard are sampled: an operator waits for it.
    static let samplesLimit = Duration.seconds(5)

    /// Of the shards that the request concerns and that own something. nil: one of them could not be sampled, or would not be in time.
    ///
    /// Throws where the request makes no sense.
    func samples(for move: MoveRequest, in catalog: CatalogSnapshot) async throws -> [ShardID: RowSamples]? {
        let plan = try Self.plan(move, in: catalog)
        let keys = Self.tables(of: plan.database, in: catalog).compactMap { table in table.shardKey.map { (table.name, $0) } }
        let tables = Dictionary(keys, uniquingKeysWith: { $1 })
        let shards = move.measured(in: catalog).compactMap { catalog.shards[$0] }
        let found = try await Self.onEach(shards) { try? await inspector.samples($0.primaryEndpoint, of: tables, within: Self.samplesLimit) }
        let samples = found.compactMapValues { $0 }
        return samples.count == shards.count ? samples : nil
    }

    static func measure(by samples: [ShardID: RowSamples]?) -> TokenMeasure { RowSamples(samples.map { $0.values.flatMap(\.rows) } ?? []).measure }

    /// What would move. Rows and bytes are by the sampled rows; where they could not be sampled, by the moved part of what the source's statistics say of the database's
    /// sharded tables.
    func plan(_ request: RESTRequest) async throws -> RESTAnswer {
        let catalog = try await writer.load()
        let wanted = try Self.wanted(request)
        let samples = try await samples(for: wanted, in: catalog)
        let plan = try Self.plan(wanted, in: catalog, by: Self.measure(by: samples))
        let record = JobRecord(id: JobID(""), kind: plan.kind, database: plan.database, moves: plan.moves)
        let conflict = Self.conflict(of: record, with: catalog.jobs.values.filter { !$0.isOver }.sorted { $0.id < $1.id }, in: catalog)
        if let conflict, conflict.code == .reshardRefused { throw conflict }
        let figures = try await Self.onEach(record.sources.compactMap { catalog.shards[$0] }) { try? await inspector.figures($0.primaryEndpoint) }
        let sharded = Set(Self.tables(of: plan.database, in: catalog).filter { $0.shardKey != nil }.map(\.name))
        let tables = figures.compactMapValues { $0?.tables.filter { sharded.contains($0.name) } }
        return .json(
            ReshardPlanAnswer(
                type: plan.kind.rawValue, database: plan.database, moves: Self.moves(plan, in: catalog, samples, tables), cuts: Self.cuts(plan, in: catalog),
                retiring: Self.retiring(plan, in: catalog).map(\.name), conflict: conflict?.details?["job"]?.stringValue,
                sampledRows: samples.map { Int64($0.values.reduce(0) { $0 + $1.rows.count }) },
                secondsEstimate: samples.flatMap { samples in Self.seconds(toRead: record.sources.reduce(0) { $0 + (samples[$1]?.fileBytes ?? 0) }, in: catalog) }))
    }

    /// By source and target.
    private static func moves(
        _ plan: MovePlan, in catalog: CatalogSnapshot, _ samples: [ShardID: RowSamples]?, _ tables: [ShardID: [ShardFigures.Table]]
    ) -> [ReshardPlanAnswer.Move] {
        let groups = Dictionary(grouping: plan.moves) { [$0.source, $0.target] }.sorted { ($0.key[0], $0.key[1]) < ($1.key[0], $1.key[1]) }
        return groups.map { pair, moves in
            let tokens = width(moves.map(\.vnode))
            let share = tokens / width(catalog.shards[pair[0]]?.vnodes ?? [])
            let sampled = samples?[pair[0]]?.total(in: moves.map(\.vnode.range).sorted { $0.start < $1.start })
            func part(_ all: KeyPath<ShardFigures.Table, Int64>) -> Int64? {
                tables[pair[0]].map { Int64(Double($0.reduce(0) { $0 + $1[keyPath: all] }) * share) }
            }
            return ReshardPlanAnswer.Move(
                sourceShard: pair[0].name, targetShard: pair[1].name, vnodes: moves.count, shareOfRing: tokens / Double(TokenRange.whole.width),
                shareOfSource: share, rowEstimate: sampled.map { Int64($0.rows) } ?? part(\.rowEstimate), byteEstimate: sampled.map { Int64($0.bytes) } ?? part(\.bytes))
        }
    }

    /// How long the copy takes: sources are read whole, as fast as by the last jobs. nil: no job that is kept has copied anything.
    static func seconds(toRead bytes: Double, in catalog: CatalogSnapshot) -> Double? {
        let past = StoredJob.all(in: catalog).sorted { $0.createdAt > $1.createdAt }.compactMap { job in
            job.facts.copySeconds.flatMap { seconds in job.facts.copied.map { (seconds: seconds, bytes: Double($0.bytesAll)) } }
        }.filter { $0.seconds > 0 && $0.bytes > 0 }.prefix(copiesCounted)
        let (read, took) = (past.reduce(0) { $0 + $1.bytes }, past.reduce(0) { $0 + $1.seconds })
        return read > 0 ? (bytes * took / read * 10).rounded() / 10 : nil
    }

    /// The newest ones: servers and settings change.
    private static let copiesCounted = 5

    private static func wanted(_ request: RESTRequest) throws(APIError) -> MoveRequest {
        func list(_ name: String) -> [String] { (request.query[name] ?? "").split(separator: ",").map(String.init) }
        let (sources, targets) = (list("source"), list("target"))
        func only(_ shards: [String], _ name: String) throws(APIError) -> ShardID {
            guard shards.count == 1 else { throw APIError(.invalidRequest, "query parameter \(name) must name one shard") }
            return ShardID(shards[0])
        }
        switch request.query["type"] {
        case JobKind.split.rawValue: return try split(try only(sources, "source").name, targets, request.query["split_point"])
        case JobKind.merge.rawValue where sources.isEmpty: throw APIError(.invalidRequest, "query parameter source must name shards")
        case JobKind.merge.rawValue: return .merge(sources: sources.map { ShardID($0) }, target: try only(targets, "target"))
        case JobKind.move.rawValue:
            let vnodes = try list("vnodes").map { (text) throws(APIError) in
                guard let id = UInt32(text) else { throw APIError(.invalidRequest, "query parameter vnodes must be ids of vnodes, separated by commas") }
                return id
            }
            return .move(vnodes: vnodes, source: try only(sources, "source"), target: try only(targets, "target"))
        case MoveRequest.fillName: return .fill(try only(targets, "target"))
        case MoveRequest.drainName: return .drain(try only(sources, "source"))
        default: throw APIError(.invalidRequest, "query parameter type must be split, merge, move, add-shard or drain-shard")
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
    fileprivate var shardKey: String? { if case .sharded(let key) = placement { key } else { nil } }
}

extension MoveRequest {
    static let fillName = "add-shard"
    static let drainName = "drain-shard"

    /// What goes is chosen by us.
    var isShared: Bool {
        switch self {
        case .split(_, _, nil), .fill, .drain: true
        case .split, .merge, .move: false
        }
    }

    /// Whose rows a plan is made by: of a shard that is filled or emptied, all that give and take.
    func measured(in catalog: CatalogSnapshot) -> [ShardID] {
        let both = sources(in: catalog) + (evened == nil ? [] : targets(in: catalog))
        return both.filter { catalog.shards[$0]?.vnodes.isEmpty == false }
    }
}
