import ArgumentParser
import CatalogStore
import ShardModel

/// `pgmosaic catalog copy`
struct CatalogCopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Move a catalog to another store.",
        discussion: """
            The source is closed: it takes no change any more, and says where the catalog is. Then everything goes into the target, which must be
            empty, with the history, at an epoch above all of the source's. Routers and managers go on with the source until they are restarted with
            the new location; clients notice nothing. A copy that failed or was interrupted is gone on with by the same command.

              pgmosaic catalog copy --from sqlite:catalog.sqlite --to 'postgres://app@10.0.0.9/catalog?password=env:CATALOG'
              pgmosaic catalog copy --from sqlite:catalog.sqlite --to 'etcds://app@10.0.0.7,10.0.0.8,10.0.0.9?password=env:ETCD&cacert=ca.pem'

            Sealed passwords go along as they are, and need the same secrets.key_file. --secrets-key-file tries all of them first.
            """)

    @Option(help: ArgumentHelp("The catalog.", valueName: "location")) var from: String
    @Option(help: ArgumentHelp("The empty store to move it to.", valueName: "location")) var to: String
    @Option(help: "The key that sealed passwords must open with.") var secretsKeyFile: String?

    func run() async throws {
        try await CatalogWork.reportingErrors(of: "catalog copy") {
            let (source, old) = try await CatalogWork.open(from, flag: "from")
            try CatalogWork.checkSecrets(of: try await source.load(), keyFile: secretsKeyFile)
            let (target, new) = try await CatalogWork.open(to, flag: "to", createIfMissing: true)
            guard "\(old)" != "\(new)" else { throw CatalogError.invalid("source and target are the same") }
            let stored = try await CatalogTransfer.move(from: source, to: target, at: "\(new)")
            Console.line("copied to \(new): \(CatalogWork.summary(stored))")
            Console.line("\(old) is closed; restart managers and routers with the new location")
        }
    }
}
