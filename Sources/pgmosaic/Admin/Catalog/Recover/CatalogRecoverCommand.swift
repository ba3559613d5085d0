import ArgumentParser
import CatalogRecovery
import CatalogStore
import PGChannel
import Secrets
import ServerConfig
import ShardModel

/// `pgmosaic catalog recover`
struct CatalogRecoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover", abstract: "Make a lost catalog anew from the copies that the shards hold.",
        discussion: """
            For the day on which the catalog store is gone, and there is no newer export. The leading manager keeps a copy of the catalog on each shard.
            One shard that still lives is enough to find the others. The newest copy is checked against all of them: who they say they are, their
            tables, some of their rows. Without --to nothing is written.

              pgmosaic catalog recover --secrets-key-file /etc/pgmosaic/secrets.key --shard 'postgres://app@10.0.0.1/shop?password=env:SHARD_PASSWORD'
              pgmosaic catalog recover … --to sqlite:/var/lib/pgmosaic/catalog.sqlite

            The store must be empty. The new epoch is far above all that were found, so that routers take it for newer. Stop managers and routers before,
            or restart them after.

            A router's snapshot_file is a copy as well: --snapshot FILE. History and kept answers are in no copy. Copies made without
            secrets.key_file have no users: the first administrator is made anew (pgmosaic users setup).
            """)

    @Option(name: .customLong("shard"), help: ArgumentHelp("A shard's PostgreSQL database; may be given several times.", valueName: "url")) var shards: [String] = []
    @Option(name: .customLong("snapshot"), help: ArgumentHelp("A router's saved copy; may be given several times.", valueName: "file")) var snapshots: [String] = []
    @Option(help: ArgumentHelp("The empty store to write to.", valueName: "location")) var to: String?
    @Option(help: "The key of the managers; several times while keys are rotated.") var secretsKeyFile: [String] = []
    @Option(help: "An epoch that routers have seen already, where it is above all copies.") var aboveEpoch: UInt64 = 0
    @Flag(help: "Go on without shards that cannot be read.") var allowMissing = false
    @Flag(help: "Go on although a newer copy cannot be read.") var allowOlder = false
    @Flag(help: "Go on although tables of the shards are not those of the copy.") var allowTables = false

    /// Routers may have seen epochs that reached no copy. Nobody makes so many changes in the time that a copy can be behind.
    static let margin: UInt64 = 1_000_000

    func validate() throws {
        guard !shards.isEmpty || !snapshots.isEmpty else { throw ValidationError("say where to look: --shard URL, or --snapshot FILE") }
    }

    func run() async throws {
        try await CatalogWork.reportingErrors(of: "catalog recover") {
            let endpoints = try shards.map(Self.endpoint)
            let box = try SecretBox.load(paths: secretsKeyFile)
            // Before anything else: what is there would be in the way at the end.
            let target = try await to.asyncMap { try await CatalogWork.open($0, flag: "to", createIfMissing: true) }
            if let target { try await CatalogTransfer.requireEmpty(target.store) }
            var reading = RecoveryReading(box: box)
            try reading.read(files: snapshots)
            await reading.read(shards: endpoints)
            await reading.readOthers()
            let choice = reading.choice
            var problems = choice.problems
            if let snapshot = choice.snapshot {
                problems += choice.unseen(by: reading.sources).map { .missingShard($0.id, reason: reading.missing[$0.id] ?? "it was not found") }
                let (seen, failures) = await reading.evidence(for: snapshot)
                problems += failures + ShardEvidence.problems(of: snapshot, seen)
                RecoveryReport.show(choice, snapshot, reading.sources)
            }
            try judge(problems, unread: reading.unread)
            guard let snapshot = choice.snapshot else { throw CatalogError.invalid("there is no copy") }
            try CatalogWork.checkSecrets(of: snapshot, with: box)
            guard let target else { return Console.line("\nThe copy is good. Nothing was written: say where with --to LOCATION.") }
            let above = max(choice.seenMax.number, aboveEpoch)
            let (sum, overflow) = above.addingReportingOverflow(Self.margin)
            guard !overflow else { throw CatalogError.invalid("there is no epoch above \(above)") }
            let stored = try await CatalogTransfer.take(CatalogExport(snapshot), into: target.store, above: Epoch(sum), author: "catalog recover")
            Console.line("\nrecovered into \(target.source): \(CatalogWork.summary(stored))")
            Console.line("start managers and routers, or restart them, with this catalog")
        }
    }

    private static func endpoint(_ text: String) throws -> PostgresEndpoint {
        var endpoint: PostgresEndpoint
        do throws(EndpointError) {
            endpoint = try PostgresEndpoint.parse(text)
            endpoint.sendsReferenceAsText = true
        } catch {
            throw ConfigError("flag --shard", .inconsistent("\(error)"))
        }
        guard endpoint.user != nil, endpoint.database != nil else {
            throw ConfigError("flag --shard", .inconsistent("the URL must name a user and a database"))
        }
        return endpoint
    }

    /// Says what is wrong, and throws where that has not been allowed.
    private func judge(_ problems: [RecoveryProblem], unread: [String]) throws {
        let allowed: [RecoveryProblem.Allowance: Bool] = [.missing: allowMissing, .older: allowOlder, .tables: allowTables]
        var isBad = false
        for text in unread {
            Console.complain("\(allowMissing ? "allowed" : "problem"): \(TextTable.printable(text))\(allowMissing ? "" : " (--allow-missing)")")
            if !allowMissing { isBad = true }
        }
        for problem in problems {
            let isAllowed = problem.allowance.map { allowed[$0] == true } ?? false
            let way = isAllowed ? "" : problem.allowance.map { " (--\($0.rawValue))" } ?? ""
            Console.complain("\(isAllowed ? "allowed" : "problem"): \(TextTable.printable(problem.description))\(way)")
            if !isAllowed { isBad = true }
        }
        guard !isBad else { throw CatalogError.invalid("the catalog was not recovered, and nothing was written") }
    }
}

extension Optional {
    fileprivate func asyncMap<Value>(_ transform: (Wrapped) async throws -> Value) async rethrows -> Value? {
        guard let self else { return nil }
        return try await transform(self)
    }
}
