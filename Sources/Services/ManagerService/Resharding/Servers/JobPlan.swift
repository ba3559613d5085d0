internal import ChangeCore
internal import LogicalReplication
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer
internal import TransferCore

/// One shard whose changes are followed for a job, and those that get them.
struct JobLeg: Hashable, Sendable {
    let from: ShardID
    let ranges: MovedRanges
    let slot: SlotName
    let publication: String
    /// Where each target keeps how far it is.
    let position: TargetPosition
    /// Targets that are joining and get their reference tables from here: each from one source only.
    let copiesTo: [ShardID]

    var targets: [ShardID] { ranges.targets }
}

/// A job's record read together with a catalog: who sends which rows to whom. Pure.
struct JobPlan: Sendable {
    let record: JobRecord
    let names: JobNames
    let shards: [ShardID: ShardRecord]
    let sharded: [(name: QualifiedName, key: String)]
    let reference: [QualifiedName]
    let joining: Set<ShardID>
    /// By shard, in the direction asked for.
    let legs: [JobLeg]
    private let all: [ShardRecord]

    /// Throws `EffectFailure`: a shard of the record is not in the catalog, or the record makes no sense.
    init(_ record: JobRecord, _ direction: JobDirection, in catalog: CatalogSnapshot) throws(EffectFailure) {
        self.record = record
        names = JobNames(record.id)
        all = catalog.shards.values.filter { $0.database == record.database }.sorted { $0.id < $1.id }
        shards = Dictionary(all.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        for id in record.sources + record.targets where shards[id] == nil {
            throw .impossible("shard \(id) is not part of database \(record.database) any more")
        }
        var tables: [(QualifiedName, String)] = []
        var references: [QualifiedName] = []
        for table in catalog.tables.values.sorted(by: { $0.name < $1.name }) where table.database == record.database {
            switch table.placement {
            case .sharded(let key): tables.append((table.name, key))
            case .reference: references.append(table.name)
            case .local: break
            }
        }
        sharded = tables
        reference = references
        let joining = Set(record.targets.filter { catalog.shards[$0]?.isJoining == true })
        self.joining = joining
        var legs: [JobLeg] = []
        for from in direction == .forward ? record.sources : record.targets {
            let moves = record.moves.compactMap { move -> MovedRanges.Move? in
                let (source, target) = direction == .forward ? (move.source, move.target) : (move.target, move.source)
                return source == from ? MovedRanges.Move(range: move.vnode.range, target: target) : nil
            }
            let name = names.slot(on: from, direction)
            guard let ranges = MovedRanges(moves), let slot = SlotName(name) else { throw .impossible("the job's record holds vnodes that overlap") }
            let copies = direction == .back ? [] : ranges.targets.filter { target in
                joining.contains(target) && record.moves.filter { $0.target == target }.map(\.source).min() == from
            }
            legs.append(JobLeg(
                from: from, ranges: ranges, slot: slot, publication: names.publication(on: from, direction),
                position: TargetPosition(job: names.session + (direction == .forward ? "" : "-back"), source: from), copiesTo: copies))
        }
        self.legs = legs
    }

    /// The ring with the vnodes where they are, and where the job's rows of one source go.
    ///
    /// Throws where the catalog has the vnodes elsewhere than the record.
    func destinations(of leg: JobLeg) throws(EffectFailure) -> (before: HashRing, rows: RowDestinations) {
        let before = all.map(\.vnodes)
        var after = before
        for move in record.moves {
            guard let source = index(move.source), let target = index(move.target), let place = after[source].firstIndex(of: move.vnode) else {
                throw .impossible("shard \(move.source) does not own vnode \(move.vnode.id) as the job has it: start the job anew")
            }
            after[source].remove(at: place)
            after[target].append(move.vnode)
        }
        after = after.map { $0.sorted { $0.range.start < $1.range.start } }
        do throws(RingError) {
            let ring = try HashRing(before)
            let targets = leg.targets.compactMap { index($0).map(ShardIndex.init) }
            return (ring, RowDestinations(of: ShardIndex(index(leg.from) ?? 0), to: targets, before: ring, after: try HashRing(after)))
        } catch {
            throw .impossible("the ring of database \(record.database) is not whole: \(error)")
        }
    }

    func vnodes(from source: ShardID, to target: ShardID) -> Set<UInt32> {
        Set(record.moves.filter { $0.source == source && $0.target == target }.map(\.vnode.id))
    }

    private func index(_ shard: ShardID) -> Int? { all.firstIndex { $0.id == shard } }

    /// The parts of the job's ranges that the catalog gives to others than `shard`: rows there are not the shard's.
    static func strangers(on shard: ShardID, of record: JobRecord, in catalog: CatalogSnapshot) -> [TokenRange] {
        let owned = (catalog.shards[shard]?.vnodes ?? []).map(\.range).sorted { $0.start < $1.start }
        var strangers: [TokenRange] = []
        for range in record.moves.map(\.vnode.range) {
            var next: UInt64? = range.start
            for own in owned where own.end >= range.start && own.start <= range.end {
                if let start = next, start < own.start { strangers.append(TokenRange(start...(own.start - 1))) }
                next = own.end == .max ? nil : own.end + 1
            }
            if let start = next, start <= range.end { strangers.append(TokenRange(start...range.end)) }
        }
        return strangers.sorted { $0.start < $1.start }
    }
}
