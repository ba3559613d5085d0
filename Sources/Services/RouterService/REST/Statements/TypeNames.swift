internal import NIOCore
internal import PGChannel
internal import PGTypes
internal import PGWire
internal import ShardModel

/// Names of the types that a shard made itself (enums, composites, extensions), asked for once and remembered.
///
/// Their oids are each shard's own, so the shard that answered is asked.
final class TypeNames {
    private struct Key: Hashable {
        let shard: ShardID
        let oid: UInt32
    }
    static let entriesMax = 4096
    private static let timeout = TimeAmount.seconds(5)
    private static let query = """
        SELECT t.oid, coalesce(e.typname || '[]', t.typname) FROM pg_catalog.pg_type t
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' WHERE t.oid = ANY ($1::pg_catalog.oid[])
        """

    private unowned let loop: RouterLoop
    private var known: [Key: String] = [:]

    init(_ loop: RouterLoop) { self.loop = loop }

    /// Calls `done` on the loop with names for the columns of all results, at once when they are known.
    func resolve(_ results: [AnswerBody], in database: DatabaseState, _ done: @escaping ((UInt32, _ shard: String?) -> String) -> Void) {
        var oids: [String?: Set<UInt32>] = [:]
        for result in results { oids[result.shard, default: []].formUnion(result.rows?.columns.map(\.typeOID) ?? []) }
        resolve(oids, in: database, [:], done)
    }

    /// One shard after the other: there are as many steps as shards.
    private func resolve(
        _ left: [String?: Set<UInt32>], in database: DatabaseState, _ names: [String?: (UInt32) -> String],
        _ done: @escaping ((UInt32, _ shard: String?) -> String) -> Void
    ) {
        guard let (shard, oids) = left.first else { return done { oid, shard in names[shard]?(oid) ?? "oid \(oid)" } }
        resolve(Array(oids), shard: shard, in: database) { [self] name in
            var (left, names) = (left, names)
            left[shard] = nil
            names[shard] = name
            resolve(left, in: database, names, done)
        }
    }

    /// Calls `done` on the loop with names for all of `oids`, at once when they are known. `shard` nil: the home shard answered.
    func resolve(_ oids: [UInt32], shard: String?, in database: DatabaseState, _ done: @escaping (@escaping (UInt32) -> String) -> Void) {
        let shard = shard.map { ShardID($0) } ?? database.home.shardID
        let missing = Set(oids).filter { BuiltInTypes.name(of: $0) == nil && known[Key(shard: shard, oid: $0)] == nil }
        guard !missing.isEmpty, let record = database.topology.shards.first(where: { $0.id == shard }) else {
            return done { self.name(of: $0, on: shard) }
        }
        let promise = loop.eventLoop.makePromise(of: [UInt32: String].self)
        promise.completeWithTask { [control = loop.shared.control] in
            try await Self.read(missing, from: record.primaryEndpoint, control)
        }
        promise.futureResult.assumeIsolated().whenComplete { [self] result in
            if case .success(let names) = result { remember(names, of: shard) }
            done { self.name(of: $0, on: shard) }
        }
    }

    /// A type that could not be asked about is called by its number: the rows are complete all the same.
    private func name(of oid: UInt32, on shard: ShardID) -> String {
        BuiltInTypes.name(of: oid) ?? known[Key(shard: shard, oid: oid)] ?? "oid \(oid)"
    }

    private func remember(_ names: [UInt32: String], of shard: ShardID) {
        if known.count + names.count > Self.entriesMax { known.removeAll() }
        for (oid, name) in names { known[Key(shard: shard, oid: oid)] = name }
    }

    private static func read(_ oids: Set<UInt32>, from endpoint: String, _ control: ControlPlane) async throws -> [UInt32: String] {
        let list = "{\(oids.map(String.init).joined(separator: ","))}"
        let rows = try await control.withClient(endpoint) { try await $0.query(query, [.text(list)], options: .init(timeout: timeout)).rows }
        var names: [UInt32: String] = [:]
        for row in rows {
            if let oid = row.text(0).flatMap({ UInt32($0) }), let name = row.text(1) { names[oid] = name }
        }
        return names
    }
}
