import CatalogSQLite
import CatalogStore
import EtcdTestKit
import Foundation
import PostgresProcess
import Secrets
import ShardModel
import Testing

@Suite struct CatalogCommandTests {
    /// A catalog file with one database of one shard whose password is sealed with the key file `key`.
    private func fill(_ folder: String) async throws -> CatalogSnapshot {
        let box = try SecretBox.loadOrCreate(path: folder + "/key")
        let store = try await SQLiteCatalogStore(path: folder + "/c.sqlite")
        let endpoint = try EndpointSecrets.sealed("postgres://app:geheim@10.0.0.1/shop", with: box)
        let shard = ShardRecord(
            id: ShardID("s1"), name: "s1", database: "shop", primaryEndpoint: endpoint, vnodes: RingCut.even(over: 1, vnodesEach: 4, after: 0)[0])
        let change = CatalogChange(
            [
                .putDatabase(DatabaseRecord(name: "shop", homeShard: ShardID("s1"))), .putShard(shard),
                .putUser(UserRecord(name: "ada", verifier: "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy", roles: ["admin"])),
            ], author: "ada\u{1B}[31m")
        let snapshot = try await store.commit(change, expecting: .zero)
        await store.close()
        return snapshot
    }

    private func load(_ path: String) async throws -> CatalogSnapshot {
        let store = try await SQLiteCatalogStore(path: path, createIfMissing: false)
        let snapshot = try await store.load()
        await store.close()
        return snapshot
    }

    @Test func anExportedCatalogIsImportedAndShown() async throws {
        try await withTemporaryFolder { folder in
            let before = try await fill(folder)
            let file = folder + "/export.json"
            let exported = try await Program.run("catalog", "export", "--from", "sqlite:\(folder)/c.sqlite", "--file", file)
            #expect(exported.status == 0, "\(exported.errors)")
            let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let text = try String(contentsOfFile: file, encoding: .utf8)
            #expect(text.contains("sealed:") && !text.contains("geheim"))
            #expect(try await Program.run("catalog", "export", "--from", "sqlite:\(folder)/c.sqlite").output == text + "\n")
            // With the key, with another key, without any.
            let good = try await Program.run("catalog", "import", file, "--to", "sqlite:\(folder)/d.sqlite", "--secrets-key-file", folder + "/key")
            #expect(good.status == 0 && good.errors.isEmpty, "\(good.errors)")
            _ = try SecretBox.loadOrCreate(path: folder + "/other")
            let other = try await Program.run("catalog", "import", file, "--to", "sqlite:\(folder)/e.sqlite", "--secrets-key-file", folder + "/other")
            #expect(other.status == 1 && other.errors.contains("shard s1: the sealed password does not open"))
            #expect(!FileManager.default.fileExists(atPath: folder + "/e.sqlite"))
            let without = try await Program.run("catalog", "import", file, "--check")
            #expect(without.status == 0 && without.output.contains("the export is good") && without.errors.contains("1 endpoint(s) have sealed passwords"))
            var expected = before
            expected.epoch = Epoch(2)
            #expect(try await load(folder + "/d.sqlite") == expected)
            let again = try await Program.run("catalog", "import", file, "--to", "sqlite:\(folder)/d.sqlite")
            #expect(again.status == 1 && again.errors.contains("holds a catalog already"))
            let piped = try await Program.run(["catalog", "import", "-", "--to", "sqlite:\(folder)/f.sqlite", "--above-epoch", "40"], input: text)
            #expect(piped.status == 0 && piped.output.contains("epoch 41"))
        }
    }

    @Test func anExportWithAGapIsRefused() async throws {
        try await withTemporaryFolder { folder in
            _ = try await fill(folder)
            var object = try #require(
                try JSONSerialization.jsonObject(
                    with: Data(try await Program.run("catalog", "export", "--from", "sqlite:\(folder)/c.sqlite").output.utf8)) as? [String: Any])
            var shards = try #require(object["shards"] as? [[String: Any]])
            shards[0]["vnodes"] = Array(try #require(shards[0]["vnodes"] as? [Any]).dropFirst())
            object["shards"] = shards
            let text = String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)
            let result = try await Program.run(["catalog", "import", "-", "--to", "sqlite:\(folder)/new.sqlite"], input: text)
            #expect(result.status == 1 && result.errors.contains("no shard of database \"shop\" owns token 0"), "\(result.errors)")
            #expect(!FileManager.default.fileExists(atPath: folder + "/new.sqlite"))
        }
    }

    @Test func theHistorySaysWhoChangedWhat() async throws {
        try await withTemporaryFolder { folder in
            _ = try await fill(folder)
            let result = try await Program.run("catalog", "history", "--from", "sqlite:\(folder)/c.sqlite")
            #expect(result.status == 0 && result.output.contains("added shard s1 of shop (active); added user ada (admin)"), "\(result.output)")
            #expect(result.output.contains("ada\\x1b[31m") && !result.output.contains("SCRAM") && !result.output.contains("sealed"))
            let json = try await Program.run("catalog", "history", "--from", "sqlite:\(folder)/c.sqlite", "--json")
            let entries = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
            #expect(entries.count == 1 && entries[0]["epoch"] as? Int == 1)
        }
    }

    @Test func aCatalogMovesToPostgreSQLAndBack() async throws {
        try await withTemporaryFolder { folder in
            let before = try await fill(folder)
            let server = try await PostgresServer.create(
                .init(dataDirectory: folder + "/data", password: "streng geheim", authentication: .scram, settings: ["shared_buffers": "16MB"]))
            let result: Result<Void, any Error>
            do { result = .success(try await move(before, folder, server)) } catch { result = .failure(error) }
            await server.stop(.immediate)
            try result.get()
        }
    }

    private func move(_ before: CatalogSnapshot, _ folder: String, _ server: PostgresServer) async throws {
        let url = "postgres://postgres@127.0.0.1:\(server.port)/postgres?password=env:CATALOG_PASSWORD"
        let environment = ["CATALOG_PASSWORD": "streng geheim"]
        let wrong = try await Program.run("catalog", "copy", "--from", "sqlite:\(folder)/c.sqlite", "--to", url, environment: ["CATALOG_PASSWORD": "falsch"])
        #expect(wrong.status == 69 && wrong.errors.contains("password authentication failed") && !wrong.errors.contains("falsch"), "\(wrong.errors)")
        #expect(try await load(folder + "/c.sqlite") == before)
        let there = try await Program.run("catalog", "copy", "--from", "sqlite:\(folder)/c.sqlite", "--to", url, environment: environment)
        #expect(there.status == 0 && there.output.contains("epoch 3"), "\(there.errors)")
        #expect(try await load(folder + "/c.sqlite").settings[CatalogSnapshot.movedSetting] == "postgres://postgres@127.0.0.1:\(server.port)/postgres")
        let back = try await Program.run("catalog", "copy", "--from", url, "--to", "sqlite:\(folder)/back.sqlite", environment: environment)
        #expect(back.status == 0 && !(back.output + back.errors + there.output + there.errors).contains("geheim"), "\(back.errors)")
        var expected = before
        expected.epoch = Epoch(5)
        #expect(try await load(folder + "/back.sqlite") == expected)
        let history = try await Program.run("catalog", "history", "--from", url, environment: environment)
        #expect(history.output.contains("catalog copy") && history.output.contains("added shard s1"))
    }

    @Test func aCatalogMovesToEtcdAndBackAndIsImportedThere() async throws {
        try await withTemporaryFolder { folder in
            let before = try await fill(folder)
            try await EtcdCluster.with { etcd in
                for words in [["user", "add", "root:streng geheim"], ["user", "grant-role", "root", "root"], ["auth", "enable"]] {
                    let result = try await etcd.etcdctl(words: words)
                    try #require(result.status == 0, "\(result.lastLines)")
                }
                let url = "etcd://root@127.0.0.1:\(etcd.port())"
                let environment = ["CATALOG_PASSWORD": "streng geheim"]
                let secret = "?password=env:CATALOG_PASSWORD"
                let wrong = try await Program.run(
                    "catalog", "copy", "--from", "sqlite:\(folder)/c.sqlite", "--to", url + secret, environment: ["CATALOG_PASSWORD": "falsch"])
                #expect(wrong.status == 69 && wrong.errors.contains("authentication failed") && !wrong.errors.contains("falsch"), "\(wrong.errors)")
                #expect(try await load(folder + "/c.sqlite") == before)
                let there = try await Program.run(
                    "catalog", "copy", "--from", "sqlite:\(folder)/c.sqlite", "--to", url + secret, environment: environment)
                #expect(there.status == 0 && there.output.contains("epoch 3"), "\(there.errors)")
                #expect(try await load(folder + "/c.sqlite").settings[CatalogSnapshot.movedSetting] == url)
                let file = folder + "/export.json"
                let exported = try await Program.run("catalog", "export", "--from", url + secret, "--file", file, environment: environment)
                #expect(exported.status == 0, "\(exported.errors)")
                let imported = try await Program.run("catalog", "import", file, "--to", url + secret + "&prefix=/second", environment: environment)
                #expect(imported.status == 0 && imported.output.contains("epoch 4"), "\(imported.errors)")
                let again = try await Program.run("catalog", "import", file, "--to", url + secret, environment: environment)
                #expect(again.status == 1 && again.errors.contains("holds a catalog already"))
                let back = try await Program.run(
                    "catalog", "copy", "--from", url + secret + "&prefix=/second", "--to", "sqlite:\(folder)/back.sqlite", environment: environment)
                #expect(back.status == 0, "\(back.errors)")
                var expected = before
                expected.epoch = Epoch(6)
                #expect(try await load(folder + "/back.sqlite") == expected)
                let history = try await Program.run("catalog", "history", "--from", url + secret, environment: environment)
                #expect(history.output.contains("catalog copy") && history.output.contains("added shard s1"))
                let shown = [there, exported, imported, again, back, history].map { $0.output + $0.errors }.joined()
                #expect(!shown.contains("geheim"))
            }
        }
    }

    @Test func aLocationThatMakesNoSenseIsOneLine() async throws {
        for (location, text) in [
            ("nonsense", "flag --from: expected sqlite:PATH, postgres://"), ("etcd://u:geheim@", "flag --from: the etcd URL names no host"), ("postgres://u:geheim@h", "flag --from: the URL must name a user and a database"),
            ("sqlite:/nowhere/c.sqlite", "the folder /nowhere does not exist"),
        ] {
            let result = try await Program.run("catalog", "history", "--from", location)
            #expect(result.status != 0 && result.complaint.contains(text) && result.complaint.filter { $0 == "\n" }.count == 1, "\(result.errors)")
            #expect(!result.errors.contains("geheim"))
        }
    }
}
