package import CatalogRecovery
internal import Foundation
internal import NIOCore
package import PGChannel
internal import PGTypes
internal import PGWire
package import Secrets
package import ShardModel

/// The copy on one shard, over a connection to it.
package struct ShardCopies: Sendable {
    /// What became of a copy that was to be written.
    package enum Outcome: Hashable, Sendable {
        /// The shard has this epoch now, whoever wrote it.
        case current
        /// It has the copy of a newer catalog of the same cluster, which is left as it is.
        case newer(Epoch)
        /// The database is another shard, or nobody's.
        case notTheShard
    }

    private let client: PGClient
    /// For people.
    package let place: String

    package init(_ client: PGClient, place: String) {
        self.client = client
        self.place = place
    }

    // MARK: writing

    /// Brings the shard up to `copy`, in one statement; sends it only where it is needed.
    package func write(_ copy: CatalogCopy, to shard: ShardID, of database: String, by writer: String) async throws -> Outcome {
        guard let tables = try await client.query(CopyStatements.hasTables).rows.first, tables.bool(0) == true else { return .notTheShard }
        if tables.bool(1) != true {
            try await client.execute("BEGIN; \(CopyStatements.lock) \(CopyStatements.table) COMMIT")
        } else if let state = try await state(), state.clusterID == copy.clusterID {
            if state.epoch > copy.epoch { return .newer(state.epoch) }
            if state.epoch == copy.epoch, state.isWhole { return .current }
        }
        let written = try await client.query(
            CopyStatements.write,
            [
                .integer(copy.format), .text(copy.clusterID), .integer(copy.epoch.number), .bool(copy.isSealed), .text(writer),
                .binary(ByteBuffer(bytes: copy.body), typeOID: 17), .text(database), .text(shard.name),
            ])
        if !written.rows.isEmpty { return .current }
        guard let state = try await state(), state.clusterID == copy.clusterID else { return .notTheShard }
        return state.epoch > copy.epoch ? .newer(state.epoch) : .current
    }

    private func state() async throws -> (clusterID: String, epoch: Epoch, isWhole: Bool)? {
        guard let row = try await client.query(CopyStatements.state).rows.first, let cluster = row.text(0), let epoch = row.text(1).flatMap(UInt64.init)
        else { return nil }
        return (cluster, Epoch(epoch), row.bool(2) ?? false)
    }

    // MARK: reading

    /// What the database says of itself, and its copy; nil: it is no shard.
    package func read(with box: SecretBox?) async throws -> RecoverySource? {
        guard let tables = try await client.query(CopyStatements.hasTables).rows.first, tables.bool(0) == true,
            let row = try await client.query(CopyStatements.identity).rows.first, let cluster = row.text(0), let database = row.text(1),
            let shard = row.text(2)
        else { return nil }
        let mark = ShardMark(
            clusterID: cluster, database: database, shard: ShardID(shard), fence: Epoch(row.text(3).flatMap(UInt64.init) ?? 0))
        let copy = tables.bool(1) == true ? try await copy() : nil
        return RecoverySource(place: place, mark: mark, copy: copy?.opened(with: box) ?? .none)
    }

    private func copy() async throws -> CatalogCopy? {
        // Read twice where a leader that is still alive writes in between.
        for _ in 0..<3 {
            guard let row = try await client.query(CopyStatements.read).rows.first, let format = row.integer(0), let cluster = row.text(1),
                let epoch = row.text(2).flatMap(UInt64.init)
            else { return nil }
            var options = PGClient.QueryOptions()
            options.resultFormat = .binary
            guard let body = try await client.query(CopyStatements.body, [.integer(epoch)], options: options).rows.first?[0] else { continue }
            return CatalogCopy(
                format: format, clusterID: cluster, epoch: Epoch(epoch), isSealed: row.bool(3) ?? false, body: Data(body.readableBytesView))
        }
        return nil
    }

    /// The tables there, and the keys of up to `limit` rows of each that `placements` names as sharded.
    package func evidence(_ placements: [QualifiedName: Placement], limit: Int) async throws -> ShardEvidence {
        var types: [QualifiedName: [String: UInt32]] = [:]
        for row in try await client.query(CopyStatements.columns).rows {
            guard let schema = row.text(0), let table = row.text(1), let column = row.text(2), let type = row.text(3).flatMap(UInt32.init) else { continue }
            types[QualifiedName(schema: schema, name: table), default: [:]][column] = type
        }
        var evidence = ShardEvidence(tables: types.mapValues { Set($0.keys) }, samples: [:])
        for (name, placement) in placements {
            guard case .sharded(let key) = placement, let oid = types[name]?[key], let type = KeyType(typeOID: oid) else { continue }
            let rows = try await client.query(CopyStatements.sample(name.schema, name.name, key, limit: limit)).rows
            evidence.samples[name] = try rows.compactMap { row in
                guard let text = row.text(0) else { return nil }
                let bytes = Array(text.utf8)
                return try type.token(text: bytes.span.bytes)
            }
        }
        return evidence
    }
}
