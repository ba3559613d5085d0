import ArgumentParser
import CatalogStore
import Foundation
import ShardModel

/// `pgmosaic catalog import`
struct CatalogImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Put an export into a catalog store, checked.",
        discussion: """
            The store must be empty, and is made where it is missing. An export that breaks the catalog's rules (a gap in a ring, an overlap, a home
            shard that does not exist) is refused, and nothing is written. The epoch grows by one, so that routers take it for newer.

              pgmosaic catalog import catalog.json --to 'postgres://app@10.0.0.9/catalog?password=env:CATALOG'
              pgmosaic catalog import old.json --to sqlite:catalog.sqlite --replace           (back to an earlier state of the same cluster)
              pgmosaic catalog import old.json --to sqlite:new.sqlite --above-epoch 4711      (routers have seen epoch 4711 of a store that is lost)

            Sealed passwords open only with the key that they were sealed with. --secrets-key-file tries all of them first.
            """)

    @Argument(help: "The export; \"-\" is standard input.") var file: String
    @Option(help: ArgumentHelp("The store to fill.", valueName: "location")) var to: String?
    @Flag(help: "Put it in the place of the same cluster's catalog.") var replace = false
    @Option(help: "An epoch that routers have seen already.") var aboveEpoch: UInt64 = 0
    @Option(help: "The key that sealed passwords must open with.") var secretsKeyFile: String?
    @Flag(help: "Check the export, and write nothing.") var check = false

    func validate() throws {
        guard check || to != nil else { throw ValidationError("say where to put it: --to LOCATION, or --check alone") }
    }

    func run() async throws {
        try await CatalogWork.reportingErrors(of: "catalog import") {
            let export = try CatalogExport(json: try read())
            let checked = try export.snapshot()
            try CatalogWork.checkSecrets(of: checked, keyFile: secretsKeyFile)
            guard !check, let to else { return Console.line("the export is good: \(CatalogWork.summary(checked))") }
            let (store, source) = try await CatalogWork.open(to, flag: "to", createIfMissing: true)
            let stored = try await CatalogTransfer.take(export, into: store, replaces: replace, above: Epoch(aboveEpoch))
            Console.line("imported into \(source): \(CatalogWork.summary(stored))")
        }
    }

    private func read() throws -> Data {
        guard let handle = file == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: file) else {
            throw CatalogError.invalid("\(file) cannot be read")
        }
        var data = Data()
        while let more = try handle.read(upToCount: 1 << 20), !more.isEmpty {
            data += more
            guard data.count <= CatalogExport.sizeMax else { throw CatalogError.invalid("\(file) is larger than an export can be") }
        }
        return data
    }
}
