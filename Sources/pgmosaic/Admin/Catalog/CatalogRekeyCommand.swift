import ArgumentParser
import CatalogStore
import Secrets
import ShardModel

/// `pgmosaic catalog rekey`
struct CatalogRekeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rekey", abstract: "Seal the shards' passwords with another key.",
        discussion: """
            All of them in one change, or none. Before it, every manager and router must have the new key, and keep the old one:

              pgmosaic catalog make-key /etc/pgmosaic/new.key      (and bring it to every machine)
              secrets: {key_file: old.key, other_key_files: new.key}   (everywhere; restart one after the other)
              secrets: {key_file: new.key, other_key_files: old.key}   (everywhere; restart one after the other)
              pgmosaic catalog rekey --from sqlite:catalog.sqlite --old-key old.key --new-key new.key
              secrets: {key_file: new.key}                             (everywhere; restart one after the other)

            The same command again does nothing, or does what is left. The history of the catalog keeps what was sealed before, with the old key:
            where that is in wrong hands, change the passwords themselves as well.
            """)

    @Option(help: ArgumentHelp("The catalog.", valueName: "location")) var from: String
    @Option(help: ArgumentHelp("The key so far.", valueName: "file")) var oldKey: String
    @Option(help: ArgumentHelp("The key to seal with.", valueName: "file")) var newKey: String
    @Flag(help: "Say what would be done, and change nothing.") var check = false

    func run() async throws {
        try await CatalogWork.reportingErrors(of: "catalog rekey") {
            guard let box = try SecretBox.load(paths: [newKey, oldKey]) else { return }
            let (store, source) = try await CatalogWork.open(from, flag: "from")
            guard !check else {
                let count = try Self.operations(try await store.load(), box).count
                return Console.line("\(count) shards have passwords to seal anew; nothing was changed")
            }
            var count = 0
            let stored = try await CatalogTransfer.change(store, author: "catalog rekey") { (catalog) throws(CatalogError) in
                let operations = try Self.operations(catalog, box)
                if !operations.isEmpty { count = operations.count }
                return operations
            }
            guard let stored else { return Console.line("every sealed password is sealed with the new key already; nothing was changed") }
            Console.line("sealed the passwords of \(count) shards anew in \(source), at epoch \(stored.epoch)")
        }
    }

    /// Every shard with a password that the new key does not open. Throws where no key does: then nothing is changed.
    static func operations(_ catalog: CatalogSnapshot, _ box: SecretBox) throws(CatalogError) -> [CatalogChange.Operation] {
        var operations: [CatalogChange.Operation] = []
        for var shard in catalog.shards.values.sorted(by: { $0.id < $1.id }) {
            let before = shard
            do throws(SecretError) {
                shard.primaryEndpoint = try EndpointSecrets.resealed(shard.primaryEndpoint, with: box) ?? shard.primaryEndpoint
                for index in shard.replicas.indices {
                    shard.replicas[index] = try EndpointSecrets.resealed(shard.replicas[index], with: box) ?? shard.replicas[index]
                }
            } catch {
                throw .invalid("shard \(shard.id): \(error); nothing was changed")
            }
            if shard != before { operations.append(.putShard(shard)) }
        }
        return operations
    }
}

/// `pgmosaic catalog make-key`
struct CatalogKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-key", abstract: "Make a key for secrets.key_file.",
        discussion: """
              pgmosaic catalog make-key /etc/pgmosaic/secrets.key      (mode 0600; a file that is there stays as it is)
            """)

    @Argument(help: "The file to make.") var file: String

    func run() throws {
        do {
            try SecretBox.make(path: file)
        } catch {
            Console.complain("pgmosaic catalog make-key: \(error)")
            throw ExitStatus.failed
        }
        Console.line("made \(file)")
    }
}
