import ClusterTestKit
import Foundation
import PostgresProcess
import ShardModel
import Testing

extension FaultTests {
    /// `kill -9` of a router: whatever it was doing, the copies of a reference table end up the same, and what was acknowledged is there.
    struct RouterKillTests {
        private static var options: TestCluster.Options {
            var options = TestCluster.Options(shards: 3, tables: FaultClusterTrait.tables)
            options.postgres = ["synchronous_commit": "on"]
            return options
        }

        private func withRouter(_ body: @Sendable (RouterProcess, [PostgresServer]) async throws -> Void) async throws {
            try await TestCluster.withShards(Self.options) { folder, servers in
                let router = try await RouterProcess(folder, servers, Self.options)
                try await router.start()
                let result: Result<Void, any Error>
                do {
                    let client = try await router.login()
                    for statement in FaultClusterTrait.statements { try #require(try await client.failure(statement) == nil, "\(statement)") }
                    client.close()
                    result = .success(try await body(router, servers))
                } catch {
                    result = .failure(error)
                }
                await router.kill()
                try result.get()
            }
        }

        private func on(_ server: PostgresServer, _ sql: String) async throws -> String { try await server.psql(sql, database: TestCluster.database) }

        /// No prepared transaction and no decision is left, and the copies are the same; which is returned.
        private func settled(_ servers: [PostgresServer]) async throws -> Set<Substring> {
            try await eventually("every transaction is settled") {
                for server in servers {
                    let left = try await on(server, "SELECT (SELECT count(*) FROM pg_prepared_xacts) + (SELECT count(*) FROM pgmosaic.decisions)")
                    guard left == "0" else { return false }
                }
                return true
            }
            var copies: [String] = []
            for server in servers { copies.append(try await on(server, "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM ref")) }
            #expect(Set(copies).count == 1)
            return Set(copies[0].split(separator: " "))
        }

        /// Each adds one to all rows of all shards.
        @Test func aWriteWithoutAKeyIsOnAllShardsOrOnNone() async throws {
            try await withRouter { router, servers in
                let setup = try await router.login()
                try #require(try await setup.failure("INSERT INTO kv VALUES \((1...30).map { "(\($0), 0)" }.joined(separator: ", "))") == nil)
                setup.close()
                let log = WriteLog()
                for round in 0..<rounds(4) {
                    await withTaskGroup(of: Void.self) { group in
                        for lane in 0..<2 {
                            group.addTask {
                                guard let client = try? await WireClient.login(port: router.wirePort) else { return }
                                for number in 0... {
                                    let id = round * 1_000_000 + lane * 100_000 + number
                                    await log.begin(id)
                                    guard let answer = try? await client.query("UPDATE kv SET v = v + 1") else { return }
                                    if answer.contains(where: { $0.tag == "UPDATE 30" }) { await log.acknowledge(id) }
                                }
                            }
                        }
                        try? await Task.sleep(for: .milliseconds(Int.random(in: 200...900)))
                        await log.waitsForOne(of: round)
                        await router.kill()
                    }
                    try await router.start()
                }
                _ = try await settled(servers)
                var found: Set<String> = []
                for server in servers { found.formUnion(try await on(server, "SELECT string_agg(DISTINCT v::text, ' ') FROM kv").split(separator: " ").map(String.init)) }
                let (begun, acknowledged) = await (log.begun.count, log.acknowledged.count)
                let value = try #require(found.first.flatMap { Int($0) })
                #expect(found.count == 1 && acknowledged > 0 && (acknowledged...begun).contains(value), "\(found), \(acknowledged) of \(begun) acknowledged")
            }
        }

        @Test func atRandomMoments() async throws {
            try await withRouter { router, servers in
                let log = WriteLog()
                for round in 0..<rounds(5) {
                    // Four clients write as fast as they can until the router is gone.
                    await withTaskGroup(of: Void.self) { group in
                        for lane in 0..<4 {
                            group.addTask {
                                guard let client = try? await WireClient.login(port: router.wirePort) else { return }
                                for number in 0... {
                                    let id = round * 1_000_000 + lane * 100_000 + number
                                    await log.begin(id)
                                    guard let answer = try? await client.query("INSERT INTO ref VALUES (\(id), \(lane))") else { return }
                                    if answer.contains(where: { $0.tag == "INSERT 0 1" }) { await log.acknowledge(id) }
                                }
                            }
                        }
                        try? await Task.sleep(for: .milliseconds(Int.random(in: 50...400)))
                        if round == 0 { await log.waitsForOne(of: round) }
                        await router.kill()
                    }
                    try await router.start()
                }
                let found = try await settled(servers)
                let (begun, acknowledged) = await (log.begun, log.acknowledged)
                #expect(!acknowledged.isEmpty)
                #expect(acknowledged.allSatisfy { found.contains("\($0)") })
                #expect(found.allSatisfy { begun.contains(Int($0) ?? -1) })
                print("\(acknowledged.count) writes acknowledged, \(found.count) found")
            }
        }

        /// The decision waits for a lock of the decider's, which is held until the router is gone.
        @Test func betweenPrepareAndDecision() async throws {
            try await withRouter { router, servers in
                let lock = try await WireClient.login(port: servers[0].port, user: "postgres")
                try await lock.query("BEGIN")
                try await lock.query("LOCK TABLE pgmosaic.decisions IN EXCLUSIVE MODE")
                let client = try await router.login()
                try await client.send(WireMessages.query("INSERT INTO ref VALUES (1, 1)"))
                for server in servers[1...] {
                    try await eventually("it is prepared") { try await on(server, "SELECT count(*) FROM pg_prepared_xacts") == "1" }
                }
                await router.kill()
                // What the router had sent is still being carried out: the server is not told that nobody listens.
                try await lock.query("ROLLBACK")
                try await router.start()
                _ = try await settled(servers)
            }
        }

        @Test func betweenDecisionAndCommitPrepared() async throws {
            try await withRouter { router, servers in
                let lock = try await WireClient.login(port: servers[0].port, user: "postgres")
                try await lock.query("BEGIN")
                try await lock.query("LOCK TABLE pgmosaic.decisions IN EXCLUSIVE MODE")
                let client = try await router.login()
                try await client.send(WireMessages.query("INSERT INTO ref VALUES (2, 2)"))
                for server in servers[1...] {
                    try await eventually("it is prepared") { try await on(server, "SELECT count(*) FROM pg_prepared_xacts") == "1" }
                }
                // Stopped, they cannot hear of the decision.
                for server in servers[1...] { await server.pause() }
                try await lock.query("ROLLBACK")
                try await eventually("the decision is made") { try await on(servers[0], "SELECT count(*) FROM ref") == "1" }
                await router.kill()
                for server in servers[1...] { await server.resume() }
                try await router.start()
                #expect(try await settled(servers) == ["2"])
            }
        }

        // MARK: The catalog

        @Test func theDataPlaneOutlivesTheCatalog() async throws {
            try await withRouter { router, _ in
                let client = try await router.login()
                try await eventually("the catalog is saved") { FileManager.default.fileExists(atPath: router.snapshotFile) }
                try FileManager.default.removeItem(atPath: (router.catalogFile as NSString).deletingLastPathComponent)
                for key in 0..<50 { #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil) }
                #expect(try await client.failure("INSERT INTO ref VALUES (3, 3)") == nil)
                client.close()
                // From the saved copy.
                await router.kill()
                try await router.start()
                let second = try await router.login()
                for key in 0..<50 { #expect(try await second.rows("SELECT v FROM kv WHERE k = \(key)") == [["1"]]) }
                second.close()
                // A copy that is damaged is no catalog.
                await router.kill()
                var bytes = try Data(contentsOf: URL(fileURLWithPath: router.snapshotFile))
                bytes[bytes.count / 2] ^= 0x10
                try bytes.write(to: URL(fileURLWithPath: router.snapshotFile))
                let failure = try await router.failToStart()
                #expect(failure.status != 0)
                #expect(!failure.output.contains("Fatal error"), "\(failure.output)")
            }
        }
    }
}

private actor WriteLog {
    private(set) var begun: Set<Int> = []
    private(set) var acknowledged: Set<Int> = []
    func begin(_ id: Int) { begun.insert(id) }
    func acknowledge(_ id: Int) { acknowledged.insert(id) }

    /// Until one write of the round has been acknowledged; a test that looks for none fails later.
    func waitsForOne(of round: Int) async {
        try? await eventually("a write is acknowledged") { await self.acknowledged.contains { $0 / 1_000_000 == round } }
    }
}
