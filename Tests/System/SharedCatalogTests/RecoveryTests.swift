import ClusterTestKit
import EtcdTestKit
import Foundation
import PostgresProcess
import Testing

/// The catalog store is really lost, and made anew from what the shards hold.
@Suite(.serialized) struct RecoveryTests {
    private func recoverAndServe(_ kit: RecoveryKit, _ words: [String]) async throws {
        let before = try await kit.copiedEpoch(on: 0)
        // One shard is enough to find the other. A look writes nothing.
        let look = try await kit.recover("--shard", kit.url(of: 1))
        #expect(look.status == 0 && look.output.contains("Nothing was written"), "\(look.output)\(look.errors)")
        #expect(look.output.contains("1 users with their SCRAM verifiers, 2 sealed passwords"), "\(look.output)")
        let result = try await kit.recover("--shard", kit.url(of: 1), "--to", kit.location)
        try #require(result.status == 0, "\(result.output)\(result.errors)")
        #expect(result.output.contains("epoch \(before + 1_000_001)"), "\(result.output)")
        for shown in [look, result] { #expect(!(shown.output + shown.errors).contains(RecoveryKit.password) && !shown.output.contains("SCRAM-SHA-256$")) }
        // What is there is never written over.
        let again = try await kit.recover("--shard", kit.url(of: 0), "--to", kit.location)
        #expect(again.status == 1 && again.errors.contains("holds a catalog already"), "\(again.errors)")
        try await kit.startAndServe()
        #expect(try await kit.pgmosaic("users", "list").contains("ada"))
        #expect(try await kit.pgmosaic("shards", "list", "--database", TestCluster.database).contains("s2"))
    }

    @Test func aCatalogWhoseFileWasDeletedIsMadeAnew() async throws {
        try await RecoveryKit.with { kit in
            await kit.kill()
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: "\(kit.folder)/c.sqlite\(suffix)") }
            try await recoverAndServe(kit, [])
        }
    }

    @Test func aCatalogWhoseEtcdLostItsDataIsMadeAnew() async throws {
        try await EtcdCluster.with(members: 3) { etcd in
            let location = "\(etcd.location())"
            try await RecoveryKit.with({ _ in location }) { kit in
                await kit.kill()
                for member in 0..<3 { await etcd.kill(member) }
                for member in 0..<3 { try FileManager.default.removeItem(atPath: "\(etcd.folder)/m\(member)") }
                for member in 0..<3 { try await etcd.restart(member) }
                try await etcd.waitUntilReady()
                try await recoverAndServe(kit, [])
            }
        }
    }

    @Test func aCatalogWhoseDatabaseWasDroppedIsMadeAnew() async throws {
        try await TestCluster.withShards(.init(shards: 1)) { _, servers in
            let server = servers[0]
            try await server.createDatabase("catalog")
            let location = server.dsn(database: "catalog")
            try await RecoveryKit.with({ _ in location }) { kit in
                await kit.kill()
                try await server.psql("DROP DATABASE catalog WITH (FORCE)")
                try await server.createDatabase("catalog")
                try await recoverAndServe(kit, [])
            }
        }
    }

    @Test func aShardThatMissedTheLastCopiesLeadsToTheNewest() async throws {
        try await RecoveryKit.with { kit in
            await kit.shards[1].stop(.immediate)
            try await kit.pgmosaic("users", "add", "bob", "--role", "viewer", "--password-file", kit.folder + "/ada.txt")
            try await kit.waitUntilCopied([0])
            await kit.kill()
            try await kit.shards[1].start()
            #expect(try await kit.copiedEpoch(on: 1) < kit.copiedEpoch(on: 0))
            let look = try await kit.recover("--shard", kit.url(of: 1))
            #expect(look.status == 0 && look.output.contains("In it: 2 users") && look.output.contains("note: the copy of"), "\(look.output)\(look.errors)")
            // And a leader that finds it behind catches it up.
            try await kit.startManager()
            try await kit.waitUntilCopied()
        }
    }

    @Test func whatDoesNotFitIsRefusedAndNothingIsWritten() async throws {
        try await RecoveryKit.with { kit in
            await kit.kill()
            let target = "sqlite:\(kit.folder)/new.sqlite"
            func refused(_ words: String..., because text: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
                let result = try await kit.run(["catalog", "recover", "--to", target, "--secrets-key-file", kit.folder + "/secrets.key"] + words)
                #expect(result.status == 1 && result.errors.contains(text), "\(result.output)\(result.errors)", sourceLocation: sourceLocation)
                #expect(result.errors.contains("nothing was written"), "\(result.errors)", sourceLocation: sourceLocation)
                let history = try await kit.run("catalog", "history", "--from", target)
                #expect(history.status == 0 && !history.output.contains("recover"), sourceLocation: sourceLocation)
            }
            let (first, second) = (kit.url(of: 0), kit.url(of: 1))

            // A shard that is away.
            await kit.shards[1].stop(.immediate)
            try await refused("--shard", first, because: "shard s2 is missing")
            let without = try await kit.recover("--shard", first, "--allow-missing")
            #expect(without.status == 0 && without.errors.contains("allowed: shard s2 is missing"), "\(without.errors)")
            try await kit.shards[1].start()

            // A table that somebody made by hand, and one that is gone.
            _ = try await kit.psql("CREATE TABLE stray (a int)", on: 1)
            try await refused("--shard", first, because: "shard s2 has a table public.stray")
            #expect(try await kit.recover("--shard", first, "--allow-tables").status == 0)
            _ = try await kit.psql("DROP TABLE stray; ALTER TABLE kv RENAME COLUMN k TO q", on: 1)
            try await refused("--shard", first, "--allow-tables", because: "has no column k")
            _ = try await kit.psql("ALTER TABLE kv RENAME COLUMN q TO k", on: 1)

            // Rows that are not where this catalog has them.
            _ = try await kit.psql("CREATE TABLE aside AS SELECT * FROM kv", on: 0)
            let other = try await kit.psql("SELECT min(k) FROM kv", on: 1)
            _ = try await kit.psql("DROP TABLE aside; INSERT INTO kv VALUES (\(other), 0)", on: 0)
            try await refused("--shard", first, "--allow-tables", "--allow-missing", because: "1 of")
            _ = try await kit.psql("DELETE FROM kv WHERE k = \(other)", on: 0)

            // Copies that were damaged or changed: one of two, then both.
            _ = try await kit.psql("UPDATE pgmosaic.catalog_copy SET body = set_byte(body, 100, 255 - get_byte(body, 100))", on: 0)
            let half = try await kit.recover("--shard", first, "--shard", second)
            #expect(half.status == 0 && half.output.contains("cannot be read"), "\(half.output)\(half.errors)")
            // Raised, it would have been the newest: the epoch is sealed with it.
            _ = try await kit.psql("UPDATE pgmosaic.catalog_copy SET epoch = epoch + 5", on: 0)
            try await refused("--shard", first, "--shard", second, because: "--allow-older")
            _ = try await kit.psql("UPDATE pgmosaic.catalog_copy SET body = '\\x00'", on: 1)
            try await refused("--shard", first, "--shard", second, because: "there is no copy of the catalog that can be read")
            let snapshot = try await kit.recover("--shard", first, "--snapshot", kit.snapshotFile, "--allow-older")
            #expect(snapshot.status == 0 && snapshot.output.contains("1 users"), "\(snapshot.output)\(snapshot.errors)")

            // Another cluster's shard.
            _ = try await kit.psql("UPDATE pgmosaic.identity SET cluster_id = 'another'", on: 1)
            try await refused("--shard", first, "--shard", second, "--snapshot", kit.snapshotFile, "--allow-older", because: "copies of one cluster only")
            try await refused("--shard", first, "--snapshot", kit.snapshotFile, "--allow-older", "--allow-missing", because: "cluster another")
        }
    }

    @Test func anotherKeyOpensNothingAndWithoutAKeyThereAreNoUsers() async throws {
        try await RecoveryKit.with { kit in
            await kit.kill()
            let without = try await kit.run("catalog", "recover", "--shard", kit.url(of: 0))
            #expect(without.status == 1 && without.errors.contains("it is sealed"), "\(without.output)\(without.errors)")
            for text in [without.output, without.errors] { #expect(!text.contains("ada") && !text.contains("public.kv")) }
            let stored = try await kit.psql("SELECT encode(body, 'escape') FROM pgmosaic.catalog_copy", on: 0)
            #expect(!stored.contains("kv") && !stored.contains("SCRAM"))
        }
        try await RecoveryKit.with(hasKey: false) { kit in
            await kit.kill()
            let result = try await kit.recover("--shard", kit.url(of: 0), "--to", "sqlite:\(kit.folder)/new.sqlite")
            #expect(result.status == 0 && result.output.contains("In it: no users, 0 sealed passwords"), "\(result.output)\(result.errors)")
            #expect(result.output.contains("0 users") && result.output.contains("public.kv"), "\(result.output)")
            // A router's own copy of the same epoch has them.
            let snapshot = try await kit.recover("--shard", kit.url(of: 0), "--snapshot", kit.snapshotFile)
            #expect(snapshot.status == 0 && snapshot.output.contains("In it: 1 users"), "\(snapshot.output)\(snapshot.errors)")
        }
    }
}
