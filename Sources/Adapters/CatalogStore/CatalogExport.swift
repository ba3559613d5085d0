package import Foundation
package import ShardModel

/// A catalog as a JSON file: for backups, for moving, and for a person to read. Its records are those of `CatalogRecords.swift`, in order of their names.
///
/// It holds what the catalog holds: SCRAM verifiers, and passwords of endpoints as they were sealed.
package struct CatalogExport: Hashable, Sendable, Codable {
    package static let formatName = "pgmosaic catalog"
    package static let versionMax = 1
    /// The largest file that is read, in bytes.
    package static let sizeMax = 512 << 20

    package var format = Self.formatName
    package var version = Self.versionMax
    package var clusterID: String
    package var epoch: Epoch
    package var databases: [DatabaseRecord]
    package var shards: [ShardRecord]
    package var tables: [TableRecord]
    package var users: [UserRecord]
    package var settings: [String: String]
    /// nil in an export that was written before there were jobs.
    package var jobs: [ReshardJobRecord]?
    package var holds: [HoldRecord]?
    /// Newest first.
    package var history: [CatalogHistoryEntry]

    private enum CodingKeys: String, CodingKey {
        case format, version
        case clusterID = "cluster_id"
        case epoch, databases, shards, tables, users, settings, jobs, holds, history
    }

    package init(_ snapshot: CatalogSnapshot, history: [CatalogHistoryEntry] = []) {
        clusterID = snapshot.clusterID
        epoch = snapshot.epoch
        databases = snapshot.databases.values.sorted { $0.name < $1.name }
        shards = snapshot.shards.values.sorted { $0.id < $1.id }
        tables = snapshot.tables.values.sorted { ($0.database, $0.name) < ($1.database, $1.name) }
        users = snapshot.users.values.sorted { $0.name < $1.name }
        settings = snapshot.settings
        jobs = snapshot.jobs.values.sorted { $0.id < $1.id }
        holds = snapshot.holds.values.sorted { $0.job < $1.job }
        self.history = history
    }

    package var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(self)
        }
    }

    /// Throws `.foreign` when it is something else or of a newer version, `.invalid` when it is damaged.
    package init(json: Data) throws(CatalogError) {
        guard let head = try? JSONDecoder().decode(Head.self, from: json), head.format == Self.formatName else {
            throw .foreign("this is not an export of a catalog, or it is cut off")
        }
        guard head.version == Self.versionMax else {
            throw .foreign("the export has version \(head.version); this version of PGMosaic knows \(Self.versionMax)")
        }
        do {
            self = try JSONDecoder().decode(Self.self, from: json)
        } catch {
            throw .invalid("the export is damaged: \(Self.place(of: error))")
        }
    }

    private struct Head: Codable {
        var format: String
        var version: Int
    }

    /// Where in the file; never the value, which may be a secret.
    private static func place(of error: any Error) -> String {
        let path: [any CodingKey] =
            switch error as? DecodingError {
            case .keyNotFound(let key, let context): context.codingPath + [key]
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context): context.codingPath
            default: []
            }
        return path.isEmpty ? "it is not JSON" : path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }

    /// The catalog in it, checked: every invariant holds, and no record is there twice.
    package func snapshot() throws(CatalogError) -> CatalogSnapshot {
        var snapshot = CatalogSnapshot(epoch: epoch, clusterID: clusterID, settings: settings)
        guard !clusterID.isEmpty else { throw .invalid("the export names no cluster") }
        for record in databases {
            guard snapshot.databases.updateValue(record, forKey: record.name) == nil else { throw Self.twice("database \"\(record.name)\"") }
        }
        for var record in shards {
            record.vnodes.sort { $0.range.start < $1.range.start }
            guard snapshot.shards.updateValue(record, forKey: record.id) == nil else { throw Self.twice("shard \"\(record.id)\"") }
        }
        for record in tables {
            let key = CatalogSnapshot.TableKey(database: record.database, table: record.name)
            guard snapshot.tables.updateValue(record, forKey: key) == nil else { throw Self.twice("table \"\(record.name)\"") }
        }
        for record in users {
            guard snapshot.users.updateValue(record, forKey: record.name) == nil else { throw Self.twice("user \"\(record.name)\"") }
        }
        for record in jobs ?? [] {
            guard snapshot.jobs.updateValue(record, forKey: record.id) == nil else { throw Self.twice("job \"\(record.id)\"") }
        }
        for record in holds ?? [] {
            guard snapshot.holds.updateValue(record, forKey: record.job) == nil else { throw Self.twice("hold of job \"\(record.job)\"") }
        }
        do {
            try snapshot.checkInvariants()
        } catch {
            throw .invalid("the export breaks the catalog's rules: \(error)")
        }
        return snapshot
    }

    private static func twice(_ record: String) -> CatalogError { .invalid("the export has \(record) twice") }
}
