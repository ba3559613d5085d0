import ClusterTestKit
import Foundation
import PGChannel
import PostgresProcess
import Testing

/// The key of the shards' passwords is changed for another, step by step as the guide says.
@Suite(.serialized) struct KeyRotationTests {
    @Test func aKeyIsRotatedWhileEverythingServes() async throws {
        try await RecoveryKit.with { kit in
            let (old, new) = (try #require(kit.keyFile), kit.folder + "/new.key")
            #expect(try await kit.run("catalog", "make-key", new).status == 0)
            let twice = try await kit.run("catalog", "make-key", new)
            #expect(twice.status == 1 && twice.errors.contains("a key is never written over"))
            func restarted(_ keys: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
                await kit.kill()
                try kit.configure(keyFiles: keys)
                try await kit.start()
                try await eventually("the router serves") { try await kit.value("SELECT v FROM kv WHERE k = 7") == "14" }
                #expect(!log(kit, "manager").contains("do not open"), sourceLocation: sourceLocation)
            }
            try await restarted([old, new])
            try await restarted([new, old])
            let rekey = ["catalog", "rekey", "--from", kit.location, "--new-key", new]
            // What cannot be opened is left as it is.
            let stranger = kit.folder + "/stranger.key"
            #expect(try await kit.run("catalog", "make-key", stranger).status == 0)
            let before = try await kit.epoch()
            let refused = try await kit.run(rekey + ["--old-key", stranger])
            #expect(refused.status == 1 && refused.errors.contains("shard s1: the sealed password does not open"), "\(refused.errors)")
            let looked = try await kit.run(rekey + ["--old-key", old, "--check"])
            #expect(looked.status == 0 && looked.output.contains("2 shards"), "\(looked.output)\(looked.errors)")
            #expect(try await kit.epoch() == before)
            // With the manager and the router at work.
            let done = try await kit.run(rekey + ["--old-key", old])
            #expect(done.status == 0 && done.output.contains("the passwords of 2 shards"), "\(done.output)\(done.errors)")
            #expect(try await kit.epoch() == before + 1)
            let again = try await kit.run(rekey + ["--old-key", old])
            #expect(again.status == 0 && again.output.contains("nothing was changed"))
            try await kit.waitUntilCopied()
            for key in 1...20 { #expect(try await kit.value("SELECT v FROM kv WHERE k = \(key)") == "\(key * 2)") }
            try await restarted([new])
            // Nothing is left that only the old key opens: neither in the catalog nor on the shards.
            let recovered = try await kit.run("catalog", "recover", "--shard", kit.url(of: 0), "--secrets-key-file", new)
            #expect(recovered.status == 0, "\(recovered.output)\(recovered.errors)")
            for result in [refused, looked, done, again, recovered] { #expect(!(result.output + result.errors).contains(RecoveryKit.password)) }

            // Who has the old key only is told so.
            await kit.kill()
            try kit.configure(keyFiles: [old])
            try await kit.start()
            try await eventually("the manager says what is wrong") { log(kit, "manager").contains("Sealed passwords do not open") }
            #expect(log(kit, "manager").contains("s1 s2"))
            do {
                _ = try await kit.value("SELECT v FROM kv WHERE k = 7")
                Issue.record("a router without the key reached a shard")
            } catch {}
            try await eventually("the router says what is wrong") { log(kit, "router").contains("the sealed password does not open") }
        }
    }
}

private func log(_ kit: RecoveryKit, _ name: String) -> String { (try? String(contentsOfFile: "\(kit.folder)/\(name).log", encoding: .utf8)) ?? "" }
