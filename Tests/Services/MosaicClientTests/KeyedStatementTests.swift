import ClusterTestKit
import Foundation
import MosaicClient
import PostgresProcess
import ShardModel
import Testing

@Suite struct KeyedStatementTests {
    @Test func aStatementOfAKeyIsAnsweredByTheShardThatOwnsItAndByNoOther() async throws {
        try await ClientCluster.with { it in
            for key in 1...60 {
                let rows = try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, $2)", [.int(key), .int(key * 2)])
                #expect(rows.rowsAffected == 1)
                let owner = try it.client.shard(of: .key(shop, key))
                #expect(rows.shard == owner)
            }
            for (shard, server) in it.cluster.servers.enumerated() {
                let found = try await server.psql("SELECT k FROM kv ORDER BY k", database: shop).split(separator: "\n").compactMap { Int($0) }
                let owned = try (1...60).filter { try it.client.shard(of: .key(shop, $0)) == TestCluster.id(of: shard).name }
                #expect(found == owned)
            }
            // Routers read the same: the two hash alike.
            let sum = try await it.client.router(shop).query("SELECT v FROM kv WHERE k = $1", [17])
            #expect(try sum.map { try $0.decode(Int.self, at: 0) } == [34])
            for name in ["a", "é日", "user"] {
                try await it.client.query(on: .key(shop, name), "INSERT INTO names VALUES ($1, 1)", [.text(name)])
                #expect(try await it.client.router(shop).query("SELECT v FROM names WHERE name = $1", [.text(name)]).count == 1)
            }
        }
    }

    @Test func whatTheKeysShardCannotAnswerAloneIsRefusedBeforeItIsSent() async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 0), other = try it.key(on: 0, after: key), far = try it.key(on: 1)
            let refused: [(String, [MosaicParameter], MosaicError.Code)] = [
                ("INSERT INTO kv VALUES ($1, 1)", [.int(far)], .keyMismatch),
                // On the same shard today, perhaps not tomorrow.
                ("INSERT INTO kv VALUES ($1, 1)", [.int(other)], .keyMismatch),
                ("INSERT INTO kv VALUES (\(key), 1), (\(far), 1)", [], .keyMismatch),
                ("SELECT v FROM kv WHERE k = ANY($1)", [.text("{\(key),\(far)}")], .keyMismatch),
                ("UPDATE kv SET v = 1", [], .needsRouter),
                ("DELETE FROM kv WHERE k > \(key)", [], .needsRouter),
                ("SELECT count(*) FROM kv", [], .needsRouter),
                ("INSERT INTO kv VALUES ($1, 1)", [nil], .needsRouter),
                ("INSERT INTO kv VALUES ($1, 1)", [], .needsRouter),
                ("INSERT INTO notes VALUES (1)", [], .needsRouter),
                ("UPDATE flags SET name = 'x'", [], .needsRouter),
                ("SELECT * FROM nothing WHERE k = 1", [], .needsRouter),
                ("SET search_path = pg_temp", [], .needsRouter),
                ("SELECT set_config('search_path', 'x', false)", [], .needsRouter),
                ("SELECT pg_advisory_lock(1)", [], .needsRouter),
                ("LISTEN x", [], .needsRouter),
                ("CREATE TEMP TABLE t (a int)", [], .needsRouter),
                ("PREPARE p AS SELECT 1", [], .needsRouter),
                ("BEGIN", [], .needsRouter), ("COMMIT", [], .needsRouter),
                ("COPY kv FROM STDIN", [], .needsRouter),
                ("CREATE TABLE t (a int)", [], .needsRouter),
                ("SELECT 1; SELECT 2", [], .needsRouter),
                ("", [], .needsRouter),
                ("SELEC 1", [], .syntax),
                (String(repeating: "(", count: 5000) + "1", [], .syntax),
            ]
            for (sql, parameters, expected) in refused {
                #expect(await code { try await it.client.query(on: .key(shop, key), sql, parameters) } == expected, "\(sql.prefix(60))")
            }
            #expect(await code { try await it.client.query(on: .key(shop, "abcdef"), "INSERT INTO names VALUES ($1, 1)", ["abcdef"]) } == .needsRouter)
            #expect(await code { try await it.client.query(on: .key("nowhere", 1), "SELECT 1") } == .unknownDatabase)
            #expect(await code { try await it.client.query(on: .key(shop, UInt64.max), "SELECT 1") } == .invalidKey)
            for shard in 0..<2 { #expect(try await it.onShard(shard, "SELECT count(*) FROM kv") == "0") }
            // What it answers by itself: no table, and reference tables.
            #expect(try await it.client.query(on: .key(shop, key), "SELECT name FROM flags WHERE id = $1", [1]).first?.decode(String.self, "name") == "one")
            #expect(try await it.client.query(on: .key(shop, key), "SELECT $1::int + 1", [1]).first?.decode(Int.self, at: 0) == 2)
        }
    }

    @Test func aTableMadeAfterTheFirstLookIsFound() async throws {
        try await ClientCluster.with { it in
            let router = try it.client.router(shop)
            _ = try await it.client.query(on: .key(shop, 1), "SELECT 1")
            try await router.query("SELECT pgmosaic.shard_table('late', 'k')")
            try await router.query("CREATE TABLE late (k bigint PRIMARY KEY, v text)")
            try await eventually("the declaration has arrived") {
                await code { try await it.client.query(on: .key(shop, 1), "INSERT INTO late VALUES (1, 'x') ON CONFLICT DO NOTHING") } == nil
            }
        }
    }

    @Test func errorsOfTheServerCarryItsWordsAndLeaveTheConnectionUsable() async throws {
        try await ClientCluster.with({ $0.connectionsMax = 1 }) { it in
            try await it.client.query(on: .key(shop, 1), "INSERT INTO kv VALUES (1, 1)")
            do {
                try await it.client.query(on: .key(shop, 1), "INSERT INTO kv VALUES (1, 1)")
                Issue.record("a duplicate was stored")
            } catch let error as MosaicError {
                #expect(error.code == .server && error.sqlState == "23505" && error.execution == .didNotRun)
                let owner = try it.client.shard(of: .key(shop, 1))
                #expect(error.server?.constraint == "kv_pkey" && error.shard == owner)
            }
            #expect(try await it.client.query(on: .key(shop, 1), "SELECT v FROM kv WHERE k = 1").count == 1)
            #expect(it.client.statistics.primaries.values.allSatisfy { $0.connections <= 1 })
        }
    }

    @Test func valuesArriveAsTheTypesTheyAreReadAs() async throws {
        try await ClientCluster.with { it in
            let id = UUID(), moment = Date(timeIntervalSince1970: 1_764_201_600.123456)
            let rows = try await it.client.query(
                on: .key(shop, 1),
                """
                SELECT $1::int8 AS i, $2::text AS t, $3::bool AS b, $4::float8 AS f, $5::uuid AS u, $6::bytea AS d, $7::timestamptz AS m, $8::numeric AS n,
                       NULL::int AS nothing, 70000::int4 AS wide
                """,
                [.int(Int.max), "ä'\"\\", true, 0.1, .uuid(id), .bytes([0, 255, 16]), .date(moment), .decimal(Decimal(string: "12345.6789")!)])
            let row = try #require(rows.first)
            #expect(try row.decode(Int.self, "i") == Int.max)
            #expect(try row.decode(String.self, "t") == "ä'\"\\")
            #expect(try row.decode(Bool.self, "b"))
            #expect(try row.decode(Double.self, "f") == 0.1)
            #expect(try row.decode(UUID.self, "u") == id)
            #expect(try row.decode(Data.self, "d") == Data([0, 255, 16]))
            #expect(abs(try row.decode(Date.self, "m").timeIntervalSince(moment)) < 0.000_001)
            #expect(try row.decode(Decimal.self, "n") == Decimal(string: "12345.6789"))
            #expect(try row.decode(Int?.self, "nothing") == nil)
            for read in [
                { _ = try row.decode(Int.self, "nothing") }, { _ = try row.decode(Int16.self, "wide") }, { _ = try row.decode(Int.self, "t") },
                { _ = try row.decode(Int.self, "absent") }, { _ = try row.decode(Int.self, at: 99) }, { _ = try row.decode((Int, Int).self) },
            ] as [() throws -> Void] {
                #expect { try read() } throws: { ($0 as? MosaicError)?.code == .decoding }
            }
            let pair = try await it.client.query(on: .key(shop, 1), "SELECT 7, 'seven'").first?.decode((Int, String).self)
            #expect(pair?.0 == 7 && pair?.1 == "seven")
        }
    }

    @Test func momentsAreReadAndWrittenAsPostgresMeansThem() async throws {
        try await ClientCluster.with { it in
            for zone in ["UTC", "Asia/Kolkata", "America/New_York"] {
                for seconds in [0, -1.5, 1_764_201_600.25, -62_135_596_800, -70_000_000_000.5, 253_402_300_800] as [Double] {
                    let date = Date(timeIntervalSince1970: seconds)
                    let rows = try await it.client.query(
                        on: .key(shop, 1), "SELECT extract(epoch FROM $1::timestamptz)::float8, $1::timestamptz, timezone($2, $1::timestamptz)::text",
                        [.date(date), .text(zone)])
                    #expect(try rows.first?.decode(Double.self, at: 0) == seconds)
                    #expect(try rows.first?.decode(Date.self, at: 1) == date)
                }
            }
        }
    }
}
