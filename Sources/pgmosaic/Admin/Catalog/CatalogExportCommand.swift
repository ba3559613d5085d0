import ArgumentParser
import CatalogStore
import Foundation
import ShardModel

/// `pgmosaic catalog export`
struct CatalogExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a catalog as JSON, history included.",
        discussion: """
            The export holds the users' SCRAM verifiers, and the shards' passwords as they are sealed in the catalog; the key is not in it. A file is
            made with mode 0600.

              pgmosaic catalog export --from sqlite:catalog.sqlite --file catalog.json
            """)

    @Option(help: ArgumentHelp("The catalog.", valueName: "location")) var from: String
    @Option(help: "Where to write; without it, standard output.") var file: String?

    func run() async throws {
        try await CatalogWork.reportingErrors(of: "catalog export") {
            let (store, _) = try await CatalogWork.open(from, flag: "from")
            let snapshot = try await store.load()
            // Read before a change that came in between, the history may go further than the snapshot.
            let history = try await store.history(limit: CatalogHistoryEntry.keptMin).filter { $0.epoch <= snapshot.epoch }
            let json = try CatalogExport(snapshot, history: history).json
            guard let file else { return Console.line(String(decoding: json, as: UTF8.self)) }
            try Self.write(json, to: file)
            Console.complain("written to \(file): \(CatalogWork.summary(snapshot))")
        }
    }

    /// The file appears complete, with mode 0600, or not at all.
    private static func write(_ data: Data, to file: String) throws {
        let draft = "\(file).\(UUID().uuidString.lowercased()).new"
        defer { try? FileManager.default.removeItem(atPath: draft) }
        guard FileManager.default.createFile(atPath: draft, contents: data, attributes: [.posixPermissions: 0o600]), rename(draft, file) == 0 else {
            throw CatalogError.invalid("\(file) cannot be written")
        }
    }
}
