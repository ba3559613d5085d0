import Foundation
import PostgresProcess
import Testing

@testable import pgmosaic

/// How a shard's password gets to a command without everybody on the machine reading it.
@Suite struct ShardPasswordTests {
    @Test func aShardIsAddedWithAPasswordFromAFileOrStandardInput() async throws {
        try await withTemporaryFolder { folder in
            let secret = "p@ss/w:rd?&% 1"
            let server = try await PostgresServer.create(
                .init(dataDirectory: folder + "/data", password: secret, authentication: .scram, settings: ["shared_buffers": "16MB"]))
            let port = try LoopbackPort.free()
            let words = [
                "manager", "--catalog", "sqlite:\(folder)/c.sqlite", "--secrets-key-file", folder + "/key", "--http-port", String(port), "--http-auth", "none",
                "--leader-wait", "60s", "--shard-probe-timeout", "60s",
            ]
            let manager = try SupervisedProcess.start(.init(Program.path, words, output: .file(folder + "/log"), orphanSignal: "KILL"))
            func run(_ words: String..., input: String = "") async throws -> CommandResult {
                try await Program.run(words, input: input, environment: ["PGMOSAIC_URL": "http://127.0.0.1:\(port)"])
            }
            let result: Result<Void, any Error>
            do {
                for name in ["one", "two", "three"] { try await server.createDatabase(name) }
                try await Program.wait { try await run("databases").status == 0 }
                #expect(try await run("databases", "create", "shop").status == 0)
                func endpoint(_ database: String) -> String { "postgres://postgres@127.0.0.1:\(server.port)/\(database)" }
                try Data("\(secret)\nanother line\n".utf8).write(to: URL(fileURLWithPath: folder + "/pw"))
                let first = try await run("shards", "add", "a", "--database", "shop", "--endpoint", endpoint("one"), "--password-file", folder + "/pw")
                #expect(first.status == 0 && first.errors.isEmpty, "\(first.errors)")
                let second = try await run("shards", "add", "b", "--database", "shop", "--endpoint", endpoint("two"), "--password-stdin", input: secret)
                #expect(second.status == 0 && second.errors.isEmpty, "\(second.errors)")
                #expect(try await run("shards").output.contains("password=***"))
                // A wrong one is the server's to refuse; none at all, too.
                let wrong = try await run("shards", "add", "c", "--database", "shop", "--endpoint", endpoint("three"), "--password-stdin", input: "wrong")
                #expect(wrong.status == 1 && !wrong.errors.contains("wrong"), "\(wrong.errors)")
                // On the command line it is taken, and told of.
                let url = endpoint("three").replacing("postgres@", with: "postgres:p%40ss%2Fw%3Ard%3F%26%25%201@")
                let warned = try await run("shards", "add", "c", "--database", "shop", "--endpoint", url)
                #expect(warned.status == 0 && warned.errors.hasPrefix("pgmosaic: warning: a URL on the command line holds a password"), "\(warned.errors)")
                let both = try await run("shards", "add", "d", "--database", "shop", "--endpoint", url, "--password-stdin", input: secret)
                #expect(both.status == 64 && both.errors.contains("names a password already"), "\(both.errors)")
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await manager.terminate()
            await server.stop(.immediate)
            try result.get()
        }
    }

    @Test(arguments: [
        (["--password-file", "x", "--password-stdin"], "not both"), (["--password-file", "/nonexistent/pw"], "/nonexistent/pw cannot be read"),
        (["--password-stdin"], "no password was given"),
    ])
    func aPasswordThatCannotBeReadIsStatus64(words: [String], message: String) async throws {
        let result = try await Program.run(["shards", "add", "a", "--database", "shop", "--endpoint", "postgres://app@127.0.0.1/shop"] + words)
        #expect(result.status == 64 && result.errors.contains(message), "\(result.errors)")
    }

    @Test func aPasswordIsNotSentToAnotherMachineInTheClear() async throws {
        let words = ["shards", "add", "a", "--database", "shop", "--endpoint", "postgres://app@10.0.0.1/shop", "--password-stdin", "--url", "http://10.0.0.2:8081"]
        let result = try await Program.run(words, input: "secret")
        #expect(result.status == 64 && result.errors.contains("use https://"), "\(result.errors)")
    }

    @Test func replicasTakeAPasswordOnlyWithOneToAdd() async throws {
        let result = try await Program.run("shards", "replicas", "a", "--password-file", "x")
        #expect(result.status == 64 && result.errors.contains("the endpoints of --add"), "\(result.errors)")
    }

    @Test(arguments: [
        "postgres://app:secret@host/shop", "postgresql://app:s/e@host/shop", "--endpoint=postgres://app:secret@host/shop", "postgres://app@host/shop?password=secret",
        "postgres://app@host/shop?sslmode=require&p%61ssword=secret", "etcds://app:secret@a,b,c", "etcd://app@a?password=secret", "postgres://app:x?y@host/shop",
    ])
    func wordsWithAPasswordAreTold(word: String) { #expect(CommandLineSecrets.holdsPassword(word)) }

    @Test(arguments: [
        "postgres://app@host:5432/shop", "postgres://app@host/shop?password=env:NAME", "postgres://app@host/shop?password=file:/etc/x", "sqlite:/var/lib/c.sqlite",
        "postgres://host:5432/shop", "--catalog=etcds://app@a:2379,b:2379?password=env:P&cacert=/x", "http://127.0.0.1:8080", "SELECT 'postgres://a:b@c'", "--endpoint",
        "postgres://app@host/shop?password=",
    ])
    func otherWordsAreNot(word: String) { #expect(!CommandLineSecrets.holdsPassword(word)) }
}
