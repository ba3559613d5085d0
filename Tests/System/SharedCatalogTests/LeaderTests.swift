import CatalogPostgres
import CatalogSQLite
import CatalogStore
import ClusterTestKit
import ControlAPI
import EtcdTestKit
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import RESTTestKit
import ShardModel
import Synchronization
import TestKit
import Testing

/// Three managers on one catalog, of which one leads, whatever happens to it.
@Suite(.serialized) struct LeaderTests {
    /// Where a catalog is, and another store of it to look with.
    struct Place: Sendable {
        var location: String
        var open: @Sendable () async throws -> any CatalogStore
    }
    enum Kind: CaseIterable, Sendable { case sqlite, postgres, etcd }

    private func with(
        _ kind: Kind, settings: String = "", _ body: @escaping @Sendable (Managers, any CatalogStore) async throws -> Void
    ) async throws {
        try await place(kind) { place in
            try await Managers.with(catalogs: Array(repeating: place.location, count: 3), settings: settings) { managers in
                try await body(managers, try await place.open())
            }
        }
    }

    private func place(_ kind: Kind, _ body: @escaping @Sendable (Place) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-leader-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        switch kind {
        case .sqlite:
            try await body(Place(location: "sqlite:\(folder)/catalog") { try await SQLiteCatalogStore(path: folder + "/catalog") })
        case .postgres:
            let server = try await PostgresServer.create(.init(dataDirectory: folder + "/pg", settings: ["shared_buffers": "16MB"]))
            var timing = CatalogTiming()
            timing.call = .seconds(60)
            let patient = timing
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(Place(location: server.dsn()) {
                    try await PostgresCatalogStore(
                        try PostgresEndpoint.parse(server.dsn()), isManager: false, on: MultiThreadedEventLoopGroup.singleton, timing: patient)
                }))
            } catch {
                result = .failure(error)
            }
            await server.stop(.immediate)
            try result.get()
        case .etcd:
            try await EtcdCluster.with(members: 3) { etcd in
                try await body(Place(location: "\(etcd.location())") { try await etcd.open(isManager: false, timing: .patient) })
            }
        }
    }

    // MARK: what must hold

    /// The tokens of the history never go back: no leader has committed after the next one had begun.
    private func expectOneLeaderAtATime(_ store: any CatalogStore) async throws {
        let tokens = try await store.history(limit: 1000).reversed().compactMap(\.fencingToken)
        #expect(!tokens.isEmpty && tokens == tokens.sorted(), "\(tokens)")
    }

    /// Writes that managers have acknowledged, by name.
    private final class Ledger: Sendable {
        private let names = Mutex<Set<String>>([])
        private let refused = Mutex<[String: Int]>([:])
        private let unanswered = Mutex<Set<String>>([])
        func strand(_ name: String) { unanswered.withLock { _ = $0.insert(name) } }
        /// To be answered at no manager, a minute behind the end of the writing.
        var stranded: Set<String> { unanswered.withLock(\.self) }
        func add(_ name: String) { names.withLock { _ = $0.insert(name) } }
        func refuse(_ reason: String) { refused.withLock { $0[reason, default: 0] += 1 } }
        var all: Set<String> { names.withLock(\.self) }
        var refusals: [String: Int] { refused.withLock(\.self) }
    }

    /// Writers at every manager, until told to stop: each makes databases of names of its own, one after the other, and repeats a request whose answer did not
    /// come, at another manager, with its key.
    private func write(_ managers: Managers, _ ledger: Ledger, _ isOver: Over) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<6 {
                group.addTask {
                    var number = 0
                    while !isOver.isSet {
                        let name = "w\(writer)-\(number)"
                        var target = writer % 3
                        var status: Int?
                        var overSince: ContinuousClock.Instant?
                        while status == nil {
                            if isOver.isSet, overSince == nil { overSince = .now }
                            if let overSince, ContinuousClock.now - overSince > .seconds(60) { return ledger.strand(name) }
                            do {
                                let answer = try await managers.write(
                                    "POST", "/api/v1/databases", ["name": .string(name), "vnode_count": 1], to: target, key: "key-\(name)")
                                // Made once: were it made by a first attempt whose answer was lost, the second would hear 409.
                                if answer.status == 201 { status = 201 } else { ledger.refuse(answer.error?.code.rawValue ?? "\(answer.status)") }
                                if answer.status == 409, answer.error?.code != .requestInProgress, answer.error?.code != .versionConflict {
                                    Issue.record("\(name): \(answer.text)")
                                    status = 409
                                }
                            } catch {
                                ledger.refuse("no answer")
                            }
                            if status == nil {
                                target = (target + 1) % 3
                                try await Task.sleep(for: .milliseconds(50))
                            }
                        }
                        if status == 201 { ledger.add(name) }
                        number += 1
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test(arguments: Kind.allCases) func noAcknowledgedWriteIsLostOrDoubledWhenLeadersAreKilledUnderWriters(_ kind: Kind) async throws {
        try await with(kind) { managers, store in
            let (ledger, isOver) = (Ledger(), Over())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await write(managers, ledger, isOver) }
                group.addTask {
                    defer { isOver.set() }
                    for _ in 0..<3 {
                        try await Task.sleep(for: .seconds(1))
                        let leader = try await managers.leader()
                        let before = ledger.all.count
                        await managers.kill(leader)
                        _ = try await managers.leader(but: leader)
                        try managers.start(leader)
                        try await eventually("writes go on", within: .seconds(60)) { ledger.all.count > before + 6 }
                        try await managers.waitUntilReady(leader)
                    }
                }
                try await group.waitForAll()
            }
            let catalog = try await store.load()
            #expect(ledger.stranded.isEmpty)
            #expect(Set(catalog.databases.keys) == ledger.all, "\(ledger.refusals)")
            // One epoch for each, so none was made twice.
            let made = try await store.history(limit: 1000).flatMap { entry in
                entry.change.operations.compactMap { if case .putDatabase(let record) = $0 { record.name } else { nil } }
            }
            #expect(made.count == Set(made).count)
            #expect(Set(try await store.history(limit: 1000).compactMap(\.fencingToken)).count >= 3)
            try await expectOneLeaderAtATime(store)
        }
    }

    /// At a moment at which it does not have the lock of SQLite's file, for whoever is stopped with that stops all (decision 0040).
    private func stop(_ leader: Int, of managers: Managers, _ kind: Kind, _ store: any CatalogStore) async throws {
        while true {
            managers.signal(leader, SIGSTOP)
            guard kind == .sqlite else { return }
            do throws(CatalogError) {
                _ = try await store.acquireLease("test", holder: "test", ttl: .seconds(1))
                return
            } catch {
                managers.signal(leader, SIGCONT)
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    @Test(arguments: Kind.allCases) func aLeaderThatWasStoppedInTheMiddleOfAWriteChangesNothingWhenItResumes(_ kind: Kind) async throws {
        // The check of a shard keeps the write in its middle for as long as the server at the endpoint keeps silent.
        try await with(kind, settings: "shard: {probe_timeout: 60s}") { managers, store in
            let shards = try await PostgresServer.create(
                .init(
                    dataDirectory: NSTemporaryDirectory() + "pgmosaic-shard-\(UUID().uuidString)",
                    settings: ["shared_buffers": "16MB", "wal_level": "logical", "max_prepared_transactions": "10"]))
            try await shards.createDatabase("d")
            let line = try TestLine(to: shards.port, on: try LoopbackPort.free())
            let leader = try await managers.leader()
            let other = (leader + 1) % 3
            _ = try await managers.write("POST", "/api/v1/databases", ["name": "app", "vnode_count": 4], to: leader)
            line.set(.silent)
            let endpoint = shards.dsn(database: "d").replacing(":\(shards.port)/", with: ":\(line.port)/")
            let body: JSONValue = ["id": "s", "database": "app", "primary_endpoint": .string(endpoint)]
            async let late = managers.write("POST", "/api/v1/shards", body, to: leader)
            try await eventually("the shard is asked") { line.isInUse }
            try await stop(leader, of: managers, kind, store)
            let next = try await managers.leader(but: leader)
            #expect(try await managers.write("POST", "/api/v1/databases", ["name": "later", "vnode_count": 4], to: other).status == 201)
            // In the time of the next leader the database goes.
            #expect(try await RawHTTP.send("DELETE", "/api/v1/databases/app", port: managers.ports[next]).status == 204)
            let before = try await store.load()
            line.set(.open)
            managers.signal(leader, SIGCONT)
            // Its caller is told so: what it began was passed on to the next leader, which knows no such database.
            let answer = try await late
            #expect(answer.error?.code == .databaseNotFound, "\(answer.text)")
            #expect(try await store.load() == before)
            try await eventually("it follows") { try await managers.get("/ready", from: leader).json?["role"] == "follower" }
            #expect(managers.log(leader).contains("This manager leads no more"))
            try await expectOneLeaderAtATime(store)
            line.close()
            await shards.stop(.immediate)
            try? FileManager.default.removeItem(atPath: shards.options.dataDirectory)
        }
    }

    @Test(.timeLimit(.minutes(4)), arguments: Kind.allCases) func whoIsToldToEndHandsOverAndNoRequestFails(_ kind: Kind) async throws {
        // A busy machine may take longer for an election than callers should wait.
        try await with(kind, settings: "leader: {wait: 60s}") { managers, store in
            let (ledger, isOver) = (Ledger(), Over())
            let first = try await managers.leader()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await write(managers, ledger, isOver) }
                group.addTask {
                    defer { isOver.set() }
                    try await Task.sleep(for: .milliseconds(500))
                    await managers.end(first)
                    _ = try await managers.leader(but: first)
                    let before = ledger.all.count
                    try await eventually("writes go on", within: .seconds(60)) { ledger.all.count > before + 6 }
                }
                try await group.waitForAll()
            }
            #expect(ledger.stranded.isEmpty, "\(ledger.refusals)")
            #expect(Set(try await store.load().databases.keys) == ledger.all)
            // Those at the one that ended had no connection; nobody else was refused anything.
            #expect(Set(ledger.refusals.keys).isSubset(of: ["no answer"]), "\(ledger.refusals)")
            #expect(managers.log(first).contains("stopping"))
            try await expectOneLeaderAtATime(store)
        }
    }

    /// It finds its own lease, of the process that was here before it, and its own address in it.
    @Test func whoIsBackBeforeItsLeaseHasEndedPassesNothingOnToItself() async throws {
        try await with(.sqlite, settings: "leader: {wait: 60s}") { managers, store in
            for index in 0..<3 where try await managers.leader() != index { await managers.kill(index) }
            let leader = try await managers.leader()
            await managers.kill(leader)
            try managers.start(leader)
            try await managers.waitUntilReady(leader)
            try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                for number in 0..<12 {
                    group.addTask { try await managers.write("POST", "/api/v1/databases", ["name": .string("back-\(number)"), "vnode_count": 1], to: leader) }
                }
                for try await answer in group { #expect(answer.status == 201, "\(answer.text)") }
            }
            #expect(try await store.load().databases.count == 12)
        }
    }

    @Test func aLeaderThatIsCutOffFromItsPostgresCatalogCommitsNothingMore() async throws {
        try await place(.postgres) { place in
            guard case .tcp(_, let port) = try PostgresEndpoint.parse(place.location).address else { throw CatalogError.unavailable("no port") }
            let lines = try (0..<3).map { _ in try TestLine(to: port, on: try LoopbackPort.free()) }
            defer { for line in lines { line.close() } }
            let locations = lines.map { place.location.replacing(":\(port)/", with: ":\($0.port)/") }
            try await Managers.with(catalogs: locations) { managers in
                let store = try await place.open()
                for mode in [TestLine.Mode.cut, .silent] {
                    let leader = try await managers.leader()
                    lines[leader].set(mode)
                    async let late = managers.write("POST", "/api/v1/databases", ["name": "late", "vnode_count": 1], to: leader)
                    let next = try await managers.leader(but: leader)
                    let answer = try await managers.write("POST", "/api/v1/databases", ["name": .string("by-\(mode)"), "vnode_count": 1], to: next)
                    #expect(answer.status == 201)
                    let refused = try await late
                    #expect(refused.status == 503, "\(refused.text)")
                    lines[leader].set(.open)
                    try await eventually("it follows") {
                        try await managers.get("/ready", from: leader).json?["role"] == "follower"
                    }
                }
                let names = try await store.load().databases.keys
                #expect(Set(names).isSuperset(of: ["by-cut", "by-silent"]))
                try await expectOneLeaderAtATime(store)
            }
        }
    }

    @Test func everyManagerAnswersReadsAndListsAllOfThem() async throws {
        try await with(.sqlite) { managers, _ in
            let leader = try await managers.leader()
            let follower = (leader + 1) % 3
            // A follower answers a write as the leader does, and reads what it wrote.
            let made = try await managers.write("POST", "/api/v1/databases", ["name": "app", "vnode_count": 4], to: follower)
            #expect(made.status == 201 && made.json?["name"] == "app")
            for index in 0..<3 { #expect(try await managers.get("/api/v1/databases/app", from: index).json?["vnode_count"] == 4) }
            let refused = try await managers.write("POST", "/api/v1/databases", ["name": "app"], to: follower)
            #expect(refused.status == 409 && refused.error?.code == .alreadyExists)
            #expect(refused.json?["error"]?["request_id"]?.stringValue == refused.headers["x-request-id"])
            try await eventually("all are listed, one of them as leader") {
                let items = try await managers.get("/api/v1/managers", from: follower).json?["items"]?.arrayValue ?? []
                return items.count == 3 && items.filter { $0["role"] == "leader" }.compactMap { $0["id"] } == [.string("m\(leader)")]
            }
            #expect(try await managers.get("/ready", from: follower).json?["leader"] == .string("http://127.0.0.1:\(managers.ports[leader])"))
            #expect(try await managers.get("/metrics", from: leader).text.contains("pgmosaic_leader 1"))
            let metrics = try await managers.get("/metrics", from: follower).text
            #expect(metrics.contains("pgmosaic_leader 0") && metrics.contains(#"pgmosaic_forwarded_requests_total{outcome="answered"} 2"#))
        }
    }

    @Test func aRequestIsRepeatedByAnotherLeaderAsItWasAnsweredFirst() async throws {
        try await with(.sqlite) { managers, store in
            let first = try await managers.leader()
            let body: JSONValue = ["name": "app", "vnode_count": 4]
            let made = try await managers.write("POST", "/api/v1/databases", body, to: (first + 1) % 3, key: "k")
            await managers.kill(first)
            let next = try await managers.leader(but: first)
            for index in 0..<3 where index != first {
                let again = try await managers.write("POST", "/api/v1/databases", body, to: index, key: "k")
                #expect(again.status == 201 && again.body == made.body)
                let other = try await managers.write("POST", "/api/v1/databases", ["name": "other"], to: index, key: "k")
                #expect(other.error?.code == .idempotencyMismatch)
            }
            #expect(try await RawHTTP.send("DELETE", "/api/v1/databases/app", port: managers.ports[next], headers: [("Idempotency-Key", "d")]).status == 204)
            // Again, though it is not there any more.
            #expect(try await RawHTTP.send("DELETE", "/api/v1/databases/app", port: managers.ports[next], headers: [("Idempotency-Key", "d")]).status == 204)
            #expect(try await managers.write("POST", "/api/v1/databases", body, to: next, key: "k").body == made.body)
            #expect(try await store.load().epoch == Epoch(2))
        }
    }

    @Test func aFollowerRedirectsWhereItIsToldToAndARequestThatWasPassedOnIsNotPassedOnAgain() async throws {
        try await with(.sqlite, settings: "leader: {forward: redirect, wait: 0s}") { managers, _ in
            let leader = try await managers.leader()
            let follower = (leader + 1) % 3
            try await eventually("it knows who leads") { try await managers.get("/ready", from: follower).json?["leader"] != nil }
            let answer = try await managers.write("POST", "/api/v1/databases?", ["name": "app"], to: follower)
            #expect(answer.status == 307 && answer.headers["location"] == "http://127.0.0.1:\(managers.ports[leader])/api/v1/databases?")
            let headers = [("Content-Type", "application/json"), ("PGMosaic-Forwarded-By", "x")]
            let passed = try await RawHTTP.send(
                "POST", "/api/v1/databases", port: managers.ports[follower], headers: headers, body: (["name": "app"] as JSONValue).encoded())
            #expect(passed.status == 503 && passed.error?.code == .notLeader && passed.headers["retry-after"] == "1")
            await managers.kill(leader)
            let none = try await managers.write("POST", "/api/v1/databases", ["name": "app"], to: follower)
            // Until the next one leads nobody does: the address of the last one, or that there is none.
            #expect(none.status == 307 || none.error?.code == .noLeader)
        }
    }
}
