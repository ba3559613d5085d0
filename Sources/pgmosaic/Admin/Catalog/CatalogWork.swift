import ArgumentParser
import CatalogStore
import Foundation
import Secrets
import ServerConfig
import ShardModel
import Telemetry

/// What the commands on a catalog store have in common.
enum CatalogWork {
    /// A failure becomes one line on standard error, and an exit status.
    static func reportingErrors(of command: String, _ body: () async throws -> Void) async throws {
        let (text, status): (String, ExitCode)
        do {
            return try await body()
        } catch let error as ConfigError {
            (text, status) = ("\(error)", ExitStatus.usage)
        } catch let error as SecretError {
            (text, status) = ("\(error)", ExitStatus.failed)
        } catch let error as CatalogError {
            if case .unavailable(let reason) = error { (text, status) = (reason, ExitStatus.unreachable) } else { (text, status) = ("\(error)", ExitStatus.failed) }
        } catch {
            (text, status) = (Redaction.clean("\(error)"), ExitStatus.failed)
        }
        Console.complain("pgmosaic \(command): \(TextTable.printable(text))")
        throw status
    }

    static func open(_ text: String, flag: String, createIfMissing: Bool = false) async throws -> (store: any CatalogStore, source: CatalogSource) {
        let place = "flag --\(flag)"
        let source = try CatalogSource(try CatalogLocation(text, at: place), at: place)
        return (try await CatalogOpening.open(source, createIfMissing: createIfMissing), source)
    }

    /// Sealed passwords go along as they are: they open with the key that they were sealed with, and no other. With a key all of them are tried first.
    static func checkSecrets(of snapshot: CatalogSnapshot, keyFile: String?) throws {
        try checkSecrets(of: snapshot, with: try keyFile.map { try SecretBox.load(path: $0) })
    }

    static func checkSecrets(of snapshot: CatalogSnapshot, with box: SecretBox?) throws {
        let endpoints = snapshot.shards.values.flatMap { shard in ([shard.primaryEndpoint] + shard.replicas).map { (shard.id, $0) } }
        let sealed = endpoints.filter { EndpointSecrets.isSealed($0.1) }
        guard !sealed.isEmpty else { return }
        guard let box else {
            return Console.complain(
                "note: \(sealed.count) endpoint(s) have sealed passwords, which open only with the key of secrets.key_file that they were sealed with")
        }
        for (shard, endpoint) in sealed.sorted(by: { $0.0 < $1.0 }) {
            do throws(SecretError) {
                _ = try EndpointSecrets.opened(endpoint, with: box)
            } catch {
                throw CatalogError.invalid("shard \(shard): \(error)")
            }
        }
    }

    static func summary(_ snapshot: CatalogSnapshot) -> String {
        "cluster \(snapshot.clusterID), epoch \(snapshot.epoch): \(snapshot.databases.count) databases, \(snapshot.shards.count) shards, "
            + "\(snapshot.tables.count) tables, \(snapshot.users.count) users"
    }
}
