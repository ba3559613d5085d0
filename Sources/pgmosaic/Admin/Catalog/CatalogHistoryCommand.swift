import ArgumentParser
import CatalogStore
import ControlAPI
import ShardModel

/// `pgmosaic catalog history`
struct CatalogHistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Who changed what, at which epoch.",
        discussion: """
              pgmosaic catalog history --from sqlite:/var/lib/pgmosaic/catalog.sqlite --limit 50
            """)

    @Option(help: ArgumentHelp("The catalog.", valueName: "location")) var from: String
    @Option(help: "So many changes, the newest first.") var limit: Int = 20
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await CatalogWork.reportingErrors(of: "catalog history") {
            let (store, _) = try await CatalogWork.open(from, flag: "from")
            let entries = try await store.history(limit: max(0, limit))
            Console.line(json ? JSONText(.array(entries.map(Self.value))).indented : Self.table(entries))
        }
    }

    private static func table(_ entries: [CatalogHistoryEntry]) -> String {
        var table = TextTable(["EPOCH", "TIME", "AUTHOR", "CHANGE"], right: [0])
        for entry in entries {
            let changes = entry.change.operations.map(describe)
            let shown = changes.prefix(5).joined(separator: "; ") + (changes.count > 5 ? "; and \(changes.count - 5) more" : "")
            table.add(["\(entry.epoch)", Timestamp(seconds: entry.time).description, entry.change.author, changes.isEmpty ? "everything replaced" : shown])
        }
        return table.text
    }

    private static func value(_ entry: CatalogHistoryEntry) -> JSONValue {
        .object([
            .init("epoch", .integer(Int64(clamping: entry.epoch.number))), .init("time", .string(Timestamp(seconds: entry.time).description)),
            .init("author", .string(entry.change.author)), .init("changes", .array(entry.change.operations.map { .string(describe($0)) })),
        ])
    }

    /// What was done to which record. Endpoints, verifiers and values are not shown: some are secrets.
    static func describe(_ operation: CatalogChange.Operation) -> String {
        switch operation {
        case .putDatabase(let record): "\(verb(record.version)) database \(record.name)"
        case .deleteDatabase(let name, _): "removed database \(name)"
        case .putShard(let record): "\(verb(record.version)) shard \(record.id) of \(record.database) (\(record.status.rawValue))"
        case .deleteShard(let id, _): "removed shard \(id)"
        case .putTable(let record): "\(verb(record.version)) table \(record.name) of \(record.database) (\(placement(record.placement)))"
        case .deleteTable(let database, let name, _): "removed table \(name) of \(database)"
        case .putUser(let record): "\(verb(record.version)) user \(record.name) (\(record.roles.joined(separator: ", ")))"
        case .deleteUser(let name, _): "removed user \(name)"
        case .setSetting(let name, let value): value == nil ? "removed setting \(name)" : "set setting \(name)"
        case .putJob(let record): "\(verb(record.version)) job \(record.id) of \(record.database)\(record.isOver ? ", which is over" : "")"
        case .deleteJob(let id, _): "removed job \(id)"
        case .putHold(let record): "held \(record.ranges.count) ranges of \(record.database) for job \(record.job)"
        case .deleteHold(let job, _): "ended the hold of job \(job)"
        }
    }

    private static func verb(_ read: UInt64) -> String { read == 0 ? "added" : "changed" }

    private static func placement(_ placement: Placement) -> String {
        switch placement {
        case .sharded(let key): "sharded by \(key)"
        case .reference: "reference"
        case .local: "local"
        }
    }
}
