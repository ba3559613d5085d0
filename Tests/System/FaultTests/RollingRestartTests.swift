import CatalogSQLite
import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import RESTTestKit
import ShardModel
import Synchronization
import Testing

extension FaultTests {
    /// A router that ends while its clients are at work, with a successor on the same ports.
    @Suite(.serialized) struct RollingRestartTests {
        private func withRouter(
            grace: String = "120s", _ body: @Sendable (RouterProcess, [PostgresServer]) async throws -> Void
        ) async throws {
            let options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])
            try await TestCluster.withShards(options) { folder, servers in
                let router = try await RouterProcess(folder, servers, options, settings: "share_ports: true\nloops: 2\nshutdown: {grace: \(grace)}")
                try await router.start()
                let client = try await router.login()
                #expect(try await client.failure("CREATE TABLE kv (k bigint PRIMARY KEY, v int NOT NULL)") == nil)
                client.close()
                let store = try await SQLiteCatalogStore(path: router.catalogFile, createIfMissing: false)
                try await eventually("it has its place among the routers") { try await store.members().count == 1 }
                try await body(router, servers)
                await router.stop()
                await router.predecessorsEnd()
            }
        }

        private func count(_ servers: [PostgresServer]) async throws -> (rows: Int, sum: Int) {
            var (rows, sum) = (0, 0)
            for server in servers {
                let parts = try await server.psql("SELECT count(*) || ' ' || coalesce(sum(v), 0) FROM kv", database: TestCluster.database)
                    .split(separator: " ").compactMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
                rows += parts[0]
                sum += parts[1]
            }
            return (rows, sum)
        }

        @Test func aRestartUnderLoadFailsNoStatementOutsideOfATransactionAndLosesOrDoublesNone() async throws {
            try await withRouter { router, servers in
                let load = Load(wirePort: router.wirePort, httpPort: router.httpPort)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in 0..<8 { group.addTask { try await load.statements(lane) } }
                    for lane in 8..<12 { group.addTask { try await load.transactions(lane) } }
                    for lane in 12..<16 { group.addTask { try await load.connections(lane) } }
                    for lane in 16..<18 { group.addTask { try await load.requests(lane) } }
                    group.addTask {
                        defer { load.stop() }
                        for _ in 0..<rounds(3) {
                            try await Task.sleep(for: .seconds(1))
                            try await router.replace()
                        }
                        await router.predecessorsEnd()
                        try await eventually("each kind has come far enough") { load.done.hasEnough }
                    }
                    try await group.waitForAll()
                }
                let stored = try await count(servers)
                let done = load.done
                #expect(stored.rows == done.inserts && stored.sum == done.inserts, "\(stored) stored, \(done) acknowledged")
                #expect(done.goodbyes > 0 && done.hasEnough, "\(done)")
                #expect(done.failures.isEmpty, "\(done.failures.prefix(5))")
            }
        }

        @Test func whatIsSentAfterTheGoodbyeGetsItAndDidNotRun() async throws {
            try await withRouter { router, servers in
                let idle = try await router.login()
                try await router.replace()
                try await idle.hasBytes()
                // The goodbye is there, unread; a reset must not take it away.
                try await idle.send(WireMessages.query("INSERT INTO kv VALUES (1, 1)"))
                let end = try await idle.untilEnd()
                #expect(end.map(\.sqlState) == ["57P01"])
                #expect(try await count(servers).rows == 0)
            }
        }

        @Test func aTransactionEndsBeforeItsClientIsSentAway() async throws {
            try await withRouter { router, servers in
                let client = try await router.login()
                try await client.query("BEGIN")
                #expect(try await client.failure("INSERT INTO kv VALUES (7, 1)") == nil)
                try await router.replace()
                try await Task.sleep(for: .seconds(1))
                #expect(try await client.failure("UPDATE kv SET v = 2 WHERE k = 7") == nil)
                try await client.send(WireMessages.query("COMMIT"))
                let end = try await client.untilEnd()
                #expect(end.map(\.description) == ["C(COMMIT)", "Z(I)", "E(57P01)"])
                await router.predecessorsEnd()
                #expect(try await count(servers).sum == 2)
            }
        }

        @Test func beyondTheGraceTransactionsAreRolledBackAndStatementsCancelledWithTheTruthOfTheirEnd() async throws {
            try await withRouter(grace: "1s") { router, servers in
                let idle = try await router.login()
                try await idle.query("BEGIN")
                #expect(try await idle.failure("INSERT INTO kv VALUES (1, 1)") == nil)
                let running = try await router.login()
                try await running.send(WireMessages.query("INSERT INTO kv SELECT 2, length(pg_sleep(600)::text) WHERE 2 = 2"))
                let inBatch = try await router.login()
                try await inBatch.send(WireMessages.parse("", "INSERT INTO kv VALUES (3, 1)") + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.flush)
                _ = try await inBatch.until("C")
                try await router.replace()
                #expect(try await idle.untilEnd().map(\.description) == ["E(57P01)"])
                #expect(try await running.untilEnd().map(\.description) == ["E(57014)", "Z(I)", "E(57P01)"])
                #expect(try await inBatch.untilEnd().compactMap(\.sqlState).last == "57P01")
                for client in [idle, running, inBatch] { client.close() }
                await router.predecessorsEnd()
                #expect(try await count(servers).rows == 0)
            }
        }

        @Test func thePlaceAmongTheRoutersIsTheSuccessors() async throws {
            try await withRouter { router, _ in
                let store = try await SQLiteCatalogStore(path: router.catalogFile, createIfMissing: false)
                let first = try await store.members().first
                try await router.replace()
                await router.predecessorsEnd()
                let second = try await store.members().first
                #expect(try #require(second).startedAt > #require(first).startedAt)
                await router.stop()
                #expect(try await store.members().isEmpty)
            }
        }

        /// A cutover waits for those that are announced: for the successor, and for the predecessor while it has clients.
        @Test func aPredecessorWithAClientIsWaitedForBesideItsSuccessor() async throws {
            try await withRouter(grace: "600s") { router, servers in
                let store = try await SQLiteCatalogStore(path: router.catalogFile, createIfMissing: false)
                let client = try await router.login()
                try await client.query("BEGIN")
                // On both shards, whatever becomes of it: what it has begun on none would wait for the end of the hold.
                for key in 1...8 { #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil) }
                let first = try #require(try await store.members().first)
                try await router.replace()
                // From the first moment on: it has not looked at its place since.
                let both = try await store.members()
                #expect(both.count == 2 && both.contains { $0.startedAt == first.startedAt && $0.id != first.id && $0.id.hasPrefix(first.id) }, "\(both)")
                #expect(both.contains { $0.startedAt > first.startedAt && $0.id == first.id })

                let catalog = try await store.load()
                let shards = catalog.shards.values.sorted { $0.id < $1.id }
                let job = ReshardJobRecord(id: "j1", database: TestCluster.database, shards: shards.map(\.id), body: "{}")
                let ranges = shards.flatMap(\.vnodes).map(\.range).sorted { $0.start < $1.start }
                let hold = HoldRecord(job: "j1", database: TestCluster.database, ranges: ranges, owners: shards.map(\.id), attempt: 1, epoch: catalog.epoch.next)
                let held = try await store.commit(CatalogChange([.putJob(job), .putHold(hold)], author: "test"), expecting: catalog.epoch)
                try await eventually("the successor has drained") {
                    try await store.members().contains { $0.id == first.id && $0.acknowledgements?.contains { $0.attempt == 1 } == true }
                }
                // Longer than an announcement lasts: it renews its own.
                try await Task.sleep(for: .seconds(17))
                let silent = try await store.members().filter { $0.acknowledgements == nil }
                #expect(silent.map(\.startedAt) == [first.startedAt], "\(silent)")
                let error = try await client.query("INSERT INTO kv VALUES (9, 1)").first { $0.kind == "E" }
                #expect(error == nil, "\(error?.field("M") ?? "")")
                try await client.send(WireMessages.query("COMMIT"))
                #expect(try await client.untilEnd().map(\.description) == ["C(COMMIT)", "Z(I)", "E(57P01)"])
                await router.predecessorsEnd()
                let left = try await store.members()
                #expect(left.map(\.id) == [first.id] && left.allSatisfy { $0.acknowledgements?.isEmpty == false }, "\(left)")
                let (holdNow, jobNow) = (try #require(held.holds["j1"]), try #require(held.jobs["j1"]))
                _ = try await store.commit(
                    CatalogChange([.deleteHold(job: "j1", version: holdNow.version), .deleteJob(id: "j1", version: jobNow.version)], author: "test"), expecting: held.epoch)
                #expect(try await count(servers).rows == 9)
            }
        }

        @Test func withoutTheSettingThePortIsNotShared() async throws {
            let options = TestCluster.Options(shards: 1, tables: [:])
            try await TestCluster.withShards(options) { folder, servers in
                let router = try await RouterProcess(folder, servers, options)
                try await router.start()
                let second = try await router.failToStart()
                #expect(second.status == 1 && second.output.contains("a port is taken by another process"))
                await router.stop()
            }
        }
    }
}

/// Clients of several kinds that write rows of their own until they are told to stop, and count what was acknowledged.
private final class Load: Sendable {
    struct Done: Sendable {
        var inserts = 0
        var goodbyes = 0
        var byKind: [String: Int] = [:]
        var failures: [String] = []

        var hasEnough: Bool { byKind.count == 4 && byKind.values.allSatisfy { $0 > 20 } || !failures.isEmpty }
    }
    private struct State {
        var done = Done()
        var isStopped = false
    }
    private let state = Mutex(State())
    private let wirePort: Int
    private let httpPort: Int

    init(wirePort: Int, httpPort: Int) {
        self.wirePort = wirePort
        self.httpPort = httpPort
    }

    var done: Done { state.withLock { $0.done } }
    func stop() { state.withLock { $0.isStopped = true } }
    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private func acknowledged(_ kind: String, _ count: Int = 1) {
        state.withLock {
            $0.done.inserts += count
            $0.done.byKind[kind, default: 0] += 1
        }
    }
    private func failed(_ what: String) { state.withLock { $0.done.failures.append(what) } }

    private static func insert(_ lane: Int, _ number: Int) -> String { "INSERT INTO kv VALUES (\(lane * 10_000_000 + number), 1)" }

    private func connect() async throws -> WireClient {
        let client = try WireClient(port: wirePort)
        try await client.send(WireMessages.startup(["user": "test", "database": TestCluster.database]))
        _ = try await client.until("Z")
        return client
    }

    /// One answer, or nil where the connection ended with 57P01 and without one: the statement did not run.
    private func answer(_ client: WireClient, _ sql: String) async throws -> [WireClient.Message]? {
        do { try await client.send(WireMessages.query(sql)) } catch WireClient.Failure.system { /* What was said before tells. */ }
        let messages = try await client.untilEnd(orReady: true)
        if messages.last?.kind == "Z" { return messages }
        guard messages.count == 1, messages[0].sqlState == "57P01" else {
            failed("\(sql): \(messages)")
            throw WireClient.Failure.closed(after: messages)
        }
        state.withLock { $0.done.goodbyes += 1 }
        return nil
    }

    private func check(_ messages: [WireClient.Message], _ sql: String) {
        if let error = messages.first(where: { $0.kind == "E" }) { failed("\(sql): \(error)") }
    }

    /// A pool's connection: one statement after the other, and again where the connection ended before.
    func statements(_ lane: Int) async throws {
        var client = try await connect()
        var number = 0
        while !isStopped {
            let sql = Self.insert(lane, number)
            guard let messages = try await answer(client, sql) else {
                client.close()
                client = try await connect()
                continue
            }
            check(messages, sql)
            acknowledged("statement")
            number += 1
        }
        client.close()
    }

    /// Transactions of two statements: once begun they end as they should.
    func transactions(_ lane: Int) async throws {
        var client = try await connect()
        var number = 0
        while !isStopped {
            guard let begun = try await answer(client, "BEGIN") else {
                client.close()
                client = try await connect()
                continue
            }
            check(begun, "BEGIN")
            // Of one shard.
            for sql in [Self.insert(lane, number), "UPDATE kv SET v = 1 WHERE k = \(lane * 10_000_000 + number)", "COMMIT"] {
                guard let messages = try await answer(client, sql) else { return failed("\(sql) in a transaction: 57P01") }
                check(messages, sql)
            }
            acknowledged("transaction")
            number += 1
        }
        client.close()
    }

    /// A connection a statement: these must not notice anything at all.
    func connections(_ lane: Int) async throws {
        var number = 0
        while !isStopped {
            let client = try await connect()
            let sql = Self.insert(lane, number)
            guard let messages = try await answer(client, sql) else { return failed("a connection that was let in got no answer") }
            check(messages, sql)
            acknowledged("connection")
            client.close()
            number += 1
        }
    }

    /// REST, a connection a request.
    func requests(_ lane: Int) async throws {
        var number = 0
        while !isStopped {
            let body = Array("{\"query\": \"\(Self.insert(lane, number))\"}".utf8)
            let answer = try await RawHTTP.send("POST", "/v1/execute", port: httpPort, headers: [("Content-Type", "application/json")], body: body)
            guard answer.status == 200 else { return failed("REST: \(answer.status) \(answer.text)") }
            acknowledged("request")
            number += 1
        }
    }
}
