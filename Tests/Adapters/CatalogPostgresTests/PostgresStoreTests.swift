@testable import CatalogPostgres
import CatalogConformance
import CatalogStore
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import ShardModel
import TestKit
import Testing

/// What is this store's own: formats, odd databases and roles, and a server that loses or restores what it had.
@Suite(.catalogServer) struct PostgresStoreTests {
    private func open(_ server: CatalogServer, _ schema: CatalogSchema = .current, isManager: Bool = true) async throws -> PostgresCatalogStore {
        try await PostgresCatalogStore(
            try server.endpoint(), isManager: isManager, on: MultiThreadedEventLoopGroup.singleton, timing: .patient, schema: schema)
    }

    private func change(_ number: Int) -> CatalogChange { CatalogChange([.setSetting(name: "n", value: String(number))], author: "test") }

    private func error(_ body: () async throws -> some Any) async throws -> CatalogError {
        try #require(await #expect(throws: CatalogError.self) { _ = try await body() })
    }

    // MARK: formats

    private static let next = CatalogSchema(steps: CatalogSchema.current.steps + ["CREATE TABLE pgmosaic_catalog.further (id integer)"])

    @Test func manyStartsAtOnceMakeOneCatalog() async throws {
        let server = try await CatalogServer.current.withDatabase()
        let clusters = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let store = try await open(server)
                    let cluster = try await store.load().clusterID
                    await store.close()
                    return cluster
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(clusters.count == 1)
    }

    @Test func manyStartsAtOnceUpgradeOnceAndKeepWhatIsThere() async throws {
        let server = try await CatalogServer.current.withDatabase()
        let old = try await open(server)
        _ = try await old.commit(change(1), expecting: .zero)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let store = try await open(server, Self.next)
                    #expect(try await store.load().settings == ["n": "1"])
                    await store.close()
                }
            }
            try await group.waitForAll()
        }
        // Those of the older version must not write any more.
        guard case .foreign(let text) = try await error({ try await old.load() }) else { throw UnexpectedError() }
        #expect(text.contains("format \(Self.next.format)"))
        guard case .foreign = try await error({ try await old.commit(change(2), expecting: Epoch(1)) }) else { throw UnexpectedError() }
        guard case .foreign = try await error({ try await open(server) }) else { throw UnexpectedError() }
        await old.close()
    }

    @Test func anOlderStoreThatReadBeforeTheUpgradeStoresNothingBehindIt() async throws {
        let server = try await CatalogServer.current.withDatabase()
        let line = try TestLine(to: server.server.port, on: try LoopbackPort.free())
        defer { line.close() }
        let old = try await server.open(port: line.port, timing: .patient)
        line.lose(.delay, of: "moved AS")
        let commit = Task { try await old.commit(change(1), expecting: .zero) }
        while line.losses == 0 { try await Task.sleep(for: .milliseconds(5)) }
        await (try await open(server, Self.next)).close()
        line.release()
        guard case .foreign = try await error({ try await commit.value }) else { throw UnexpectedError() }
        await old.close()
    }

    @Test func aRouterNeitherMakesNorUpgrades() async throws {
        let server = try await CatalogServer.current.withDatabase()
        guard case .unavailable(let text) = try await error({ try await open(server, isManager: false) }) else { throw UnexpectedError() }
        #expect(text.contains("a manager makes it"))
        await (try await open(server)).close()
        await (try await open(server, isManager: false)).close()
        guard case .unavailable = try await error({ try await open(server, Self.next, isManager: false) }) else { throw UnexpectedError() }
    }

    @Test func anUpgradeThatFailsLeavesEverythingAsItWas() async throws {
        let server = try await CatalogServer.current.withDatabase()
        await (try await open(server)).close()
        let broken = CatalogSchema(steps: Self.next.steps + ["SELECT 1/0"])
        guard case .unavailable = try await error({ try await open(server, broken) }) else { throw UnexpectedError() }
        let store = try await open(server)
        _ = try await store.commit(change(1), expecting: .zero)
        await store.close()
    }

    @Test func aRouterWithARoleOfItsOwnCommitsAfterAnUpgrade() async throws {
        let server = try await CatalogServer.current.withDatabase()
        await (try await open(server, CatalogSchema(steps: Array(CatalogSchema.current.steps.prefix(1))))).close()
        try await server.server.psql(
            """
            CREATE ROLE "up router" LOGIN; GRANT USAGE ON SCHEMA pgmosaic_catalog TO "up router";
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgmosaic_catalog TO "up router";
            """, database: server.database)
        await (try await open(server)).close()
        let store = try await PostgresCatalogStore(try server.endpoint(user: "up router"), isManager: false, on: MultiThreadedEventLoopGroup.singleton, timing: .patient)
        #expect(try await store.commit(change(1), expecting: .zero).epoch == Epoch(1))
        await store.close()
    }

    // MARK: odd databases

    @Test func aSchemaThatIsNotOursIsLeftAsItIs() async throws {
        for script in ["CREATE TABLE pgmosaic_catalog.things (id int)", "CREATE TABLE pgmosaic_catalog.catalog (id int)"] {
            let server = try await CatalogServer.current.withDatabase()
            try await server.server.psql("CREATE SCHEMA pgmosaic_catalog; \(script)", database: server.database)
            guard case .foreign = try await error({ try await open(server) }) else { throw UnexpectedError() }
            let count = try await server.server.psql(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'pgmosaic_catalog'", database: server.database)
            #expect(count == "1")
        }
    }

    @Test func anEmptySchemaThatAnAdministratorMadeIsUsed() async throws {
        let server = try await CatalogServer.current.withDatabase()
        try await server.server.psql(
            """
            CREATE ROLE keeper LOGIN; CREATE SCHEMA pgmosaic_catalog AUTHORIZATION keeper;
            REVOKE CREATE ON DATABASE "\(server.database)" FROM PUBLIC;
            """, database: server.database)
        let store = try await PostgresCatalogStore(
            try server.endpoint(user: "keeper"), isManager: true, on: MultiThreadedEventLoopGroup.singleton, timing: .patient)
        _ = try await store.commit(change(1), expecting: .zero)
        await store.close()
    }

    @Test func aRoleThatMayNotIsToldSo() async throws {
        let server = try await CatalogServer.current.withDatabase()
        await (try await open(server)).close()
        try await server.server.psql("CREATE ROLE stranger LOGIN PASSWORD 'geheim'")
        var endpoint = try server.endpoint(user: "stranger")
        endpoint.password = .literal("geheim")
        let failure = try await error {
            try await PostgresCatalogStore(endpoint, isManager: false, on: MultiThreadedEventLoopGroup.singleton, timing: .patient)
        }
        guard case .unavailable(let text) = failure else { throw UnexpectedError(error: failure) }
        #expect(text.contains("permission denied") && !text.contains("geheim"))
    }

    @Test func anotherEncodingIsRefused() async throws {
        let server = try await CatalogServer.current.withDatabase()
        try await server.server.psql("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        var latin = server
        latin.database = "latin"
        guard case .unavailable(let text) = try await error({ try await open(latin) }) else { throw UnexpectedError() }
        #expect(text.contains("UTF8"))
    }

    @Test func settingsOfTheDatabaseChangeNothing() async throws {
        let server = try await CatalogServer.current.withDatabase()
        for setting in [
            "default_transaction_isolation = 'serializable'", "default_transaction_read_only = on", "bytea_output = 'escape'",
            "synchronous_commit = off", "search_path = 'nowhere'", "DateStyle = 'German'", "IntervalStyle = 'sql_standard'",
            "extra_float_digits = -10", "TimeZone = 'Asia/Kolkata'",
            "idle_in_transaction_session_timeout = 1", "standard_conforming_strings = off",
        ] {
            try await server.server.psql("ALTER DATABASE \"\(server.database)\" SET \(setting)")
        }
        let check = try #require(CatalogConformance.checks.first { $0.name.hasPrefix("fifty") })
        try await check.run(PostgresCatalog(server: server))
    }

    @Test func whatPostgresCannotStoreIsRefusedAsInvalid() async throws {
        let store = try await open(try await CatalogServer.current.withDatabase())
        let long = (0..<4000).map { _ in String(UnicodeScalar(UInt32.random(in: 0x4E00...0x9FFF))!) }.joined()
        for change in [
            CatalogChange([.setSetting(name: "n", value: "a\u{0}b")], author: "test"),
            CatalogChange([.setSetting(name: long, value: "x")], author: "test"),
            CatalogChange([.setSetting(name: "n", value: "x")], author: "\u{0}"),
        ] {
            guard case .invalid = try await error({ try await store.commit(change, expecting: .zero) }) else { throw UnexpectedError() }
        }
        #expect(try await store.commit(change(1), expecting: .zero).epoch == Epoch(1))
        await store.close()
    }

    // MARK: news

    @Test func aCommitElsewhereIsHeardOfWithoutLookingAlsoAfterTheConnectionWasLost() async throws {
        let server = try await CatalogServer.current.withDatabase()
        var timing = CatalogTiming.patient
        timing.pollInterval = .seconds(3600)
        let listening = try await server.open(timing: timing)
        let writing = try await server.open(timing: .patient)
        var epochs = listening.watch(after: .zero).map(\.epoch).makeAsyncIterator()
        for number in 1...6 {
            _ = try await writing.commit(change(number), expecting: Epoch(UInt64(number - 1)))
            while let epoch = await epochs.next(isolation: nil), epoch < Epoch(UInt64(number)) {}
            guard number.isMultiple(of: 2) else { continue }
            // The sessions end, and with them what they listened to.
            try await server.server.psql(
                """
                SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '\(server.database)' AND application_name = 'pgmosaic-catalog'
                """)
        }
        for store in [listening, writing] { await store.close() }
    }

    // MARK: a past that changes

    @Test func aCatalogThatWentBackIsRefusedByWhoKnowsBetter() async throws {
        let server = try await CatalogServer.current.withDatabase()
        let store = try await open(server)
        for number in 1...3 { _ = try await store.commit(change(number), expecting: Epoch(UInt64(number - 1))) }
        // As a standby would have it that missed the last commit.
        try await server.server.psql(
            """
            DELETE FROM pgmosaic_catalog.history WHERE epoch = 3;
            UPDATE pgmosaic_catalog.catalog SET epoch = 2, commit_id = (SELECT commit_id FROM pgmosaic_catalog.history WHERE epoch = 2);
            """, database: server.database)
        guard case .foreign(let text) = try await error({ try await store.load() }) else { throw UnexpectedError() }
        #expect(text.contains("went back from epoch 3 to 2"))
        guard case .foreign = try await error({ try await store.commit(change(4), expecting: Epoch(3)) }) else { throw UnexpectedError() }
        // Others have gone on from there: the numbers fit again, and the past does not.
        let other = try await open(server)
        for number in 3...5 {
            _ = try await other.commit(change(number * 10), expecting: Epoch(UInt64(number - 1)))
            guard case .foreign = try await error({ try await store.load() }) else { throw UnexpectedError() }
        }
        for store in [store, other] { await store.close() }
    }

    @Test func whoIsBehindTheHistoryReadsEverythingAnew() async throws {
        let server = try await CatalogServer.current.withDatabase()
        let behind = try await open(server)
        let user = UserRecord(name: "ada", verifier: "v", roles: [])
        _ = try await behind.commit(CatalogChange([.putUser(user), .setSetting(name: "gone", value: "x")], author: "test"), expecting: .zero)
        let other = try await open(server)
        _ = try await other.commit(
            CatalogChange([.deleteUser(name: "ada", version: 1), .setSetting(name: "gone", value: nil)], author: "test"), expecting: Epoch(1))
        await other.close()
        // A thousand commits later; the next one sweeps.
        try await server.server.psql(
            "UPDATE pgmosaic_catalog.catalog SET epoch = 1049; UPDATE pgmosaic_catalog.history SET epoch = epoch + 1047", database: server.database)
        let late = try await open(server)
        // Puts anew what is swept out at the same time.
        let next = try await late.commit(CatalogChange([.putUser(user), .setSetting(name: "n", value: "1")], author: "test"), expecting: Epoch(1049))
        #expect(next.users.keys.sorted() == ["ada"] && next.settings == ["n": "1"])
        #expect(try await behind.load() == next)
        let fresh = try await open(server)
        #expect(try await fresh.load() == next)
        let rows = try await server.server.psql("SELECT count(*) FROM pgmosaic_catalog.record", database: server.database)
        #expect(rows == "2")
        for store in [behind, late, fresh] { await store.close() }
    }

    @Test func aRemovedCatalogIsNotMadeAnewUnderAStoreInUse() async throws {
        let server = try await CatalogServer.current.withDatabase()
        let store = try await open(server)
        _ = try await store.commit(change(1), expecting: .zero)
        try await server.server.psql("DROP SCHEMA pgmosaic_catalog CASCADE", database: server.database)
        guard case .foreign = try await error({ try await store.load() }) else { throw UnexpectedError() }
        guard case .foreign = try await error({ try await store.commit(change(2), expecting: Epoch(1)) }) else { throw UnexpectedError() }
        await (try await open(server)).close()
        guard case .foreign(let text) = try await error({ try await store.load() }) else { throw UnexpectedError() }
        #expect(text.contains("another cluster"))
        await store.close()
    }

    @Test func aClosedStoreSaysSoAndItsWatchEnds() async throws {
        let store = try await open(try await CatalogServer.current.withDatabase())
        let watching = Task { for await _ in store.watch(after: .zero) {} }
        await store.close()
        await watching.value
        guard case .unavailable = try await error({ try await store.load() }) else { throw UnexpectedError() }
        guard case .unavailable = try await error({ try await store.commit(change(1), expecting: .zero) }) else { throw UnexpectedError() }
    }
}
