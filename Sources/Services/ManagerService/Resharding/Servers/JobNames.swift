package import ReshardCore
package import ShardModel

/// What a job's objects on servers are called: derived from the job's id, so that every manager says the same.
///
/// A slot's name is its whole server's, on which another shard's database may lie: so the names tell shards apart.
package struct JobNames: Hashable, Sendable {
    /// Of an id that is not short, or has characters that a slot's name cannot have, so much is kept to be recognized by.
    private static let keptMax = 19
    private static let idMax = 36

    package let job: JobID
    private let base: String

    package init(_ job: JobID) {
        self.job = job
        let plain = String(job.text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        base = plain == job.text && plain.utf8.count <= Self.idMax ? plain : plain.prefix(Self.keptMax) + "_" + Self.hash(job.text, 16)
    }

    /// For `ShardTransfer`'s positions, and the sessions that work for the job.
    package var session: String { "pgmosaic-job-" + base }

    /// What the names of the job's slots begin with, and no others.
    package var slotPrefix: String { "pgmosaic_\(base)_" }

    package func slot(on shard: ShardID, _ direction: JobDirection) -> String { slotPrefix + "\(Self.hash(shard.name, 8))_\(direction == .forward ? "f" : "b")" }
    package func publication(on shard: ShardID, _ direction: JobDirection) -> String { slot(on: shard, direction) }

    private static func hash(_ text: String, _ digits: Int) -> String {
        let hexadecimal = String(Token(hashing: Array(text.utf8).span.bytes).value, radix: 16)
        return String((String(repeating: "0", count: 16 - hexadecimal.count) + hexadecimal).prefix(digits))
    }
}

extension JobNames {
    /// What `preparing` and `copying` make: for `ReshardMachine`.
    ///
    /// A target that is joining gets a schema; of one that is part of the database, only the rows that come to it are the job's.
    package static func planned(_ record: JobRecord, in catalog: CatalogSnapshot) -> [LedgerEntry] {
        let names = JobNames(record.id)
        return record.sources.flatMap { names.entries(on: $0, .forward) }
            + record.targets.map { catalog.shards[$0]?.isJoining == true ? .schema($0, name: record.database) : .rows($0) }
    }

    /// What `arming` makes.
    package static func wayBack(_ record: JobRecord) -> [LedgerEntry] {
        let names = JobNames(record.id)
        return record.targets.flatMap { names.entries(on: $0, .back) }
    }

    private func entries(on shard: ShardID, _ direction: JobDirection) -> [LedgerEntry] {
        [.slot(shard, name: slot(on: shard, direction)), .publication(shard, name: publication(on: shard, direction))]
    }
}
