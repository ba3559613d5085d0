internal import Foundation
package import ReshardCore
package import ShardModel

/// A job as the catalog has it: its record, and what is only told of it.
package struct StoredJob: Hashable, Sendable {
    package struct Facts: Hashable, Sendable, Codable {
        /// When the targets got the vnodes: seconds since 1970.
        package var switchedAt: Double?
        /// From the hold to the switch, of the last cutover.
        package var pauseMilliseconds: Double?
        /// The epoch to which the present attempt raises the fence of the old owners; kept until the fence is taken back.
        package var fence: Epoch?

        /// How far the copy was when a step was written last; nil: it had not begun.
        package var copied: Copied?
        /// How long the copy took that was not begun again; nil: there is none yet.
        package var copySeconds: Double?

        package init() {}
    }

    package struct Copied: Hashable, Sendable, Codable {
        package var rows: Int
        package var rowsEstimated: Int
        package var bytes: Int
        package var bytesAll: Int

        package init(rows: Int, rowsEstimated: Int, bytes: Int, bytesAll: Int) {
            (self.rows, self.rowsEstimated, self.bytes, self.bytesAll) = (rows, rowsEstimated, bytes, bytesAll)
        }
    }

    private struct Body: Codable {
        var record: JobRecord
        var facts: Facts
    }

    package var record: JobRecord
    package var facts: Facts
    package var createdAt: Double
    package var updatedAt: Double

    package init(_ record: JobRecord, facts: Facts = Facts(), createdAt: Double, updatedAt: Double) {
        self.record = record
        self.facts = facts
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// nil: of a version of the program whose jobs this one does not know.
    package init?(_ stored: ReshardJobRecord) {
        guard let body = try? JSONDecoder().decode(Body.self, from: Data(stored.body.utf8)) else { return nil }
        self.init(body.record, facts: body.facts, createdAt: stored.createdAt, updatedAt: stored.updatedAt)
        record.version = stored.version
    }

    /// As it is put in the place of the version before it.
    package var stored: ReshardJobRecord {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let body = try? encoder.encode(Body(record: record, facts: facts)) else {
            preconditionFailure("a record of texts and whole numbers can be encoded")
        }
        return ReshardJobRecord(
            id: record.id.text, database: record.database, shards: Set(record.sources + record.targets).sorted(), isOver: record.isOver,
            body: String(decoding: body, as: UTF8.self), createdAt: createdAt, updatedAt: updatedAt, version: record.version - 1)
    }

    /// Those that can be read, by id.
    package static func all(in catalog: CatalogSnapshot) -> [StoredJob] {
        catalog.jobs.values.compactMap(StoredJob.init).sorted { $0.record.id < $1.record.id }
    }
}
