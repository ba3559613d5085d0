import Foundation
import NIOCore
import NIOPosix
import PGChannel
import PGTypes
import PGWire
import PostgresProcess
import ShardModel
import ShardTransfer
import Testing
import TransferCore

@Suite(.transferServer) struct SnapshotCopyTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    private func shape(_ name: String, key: String = "id", _ endpoint: PostgresEndpoint) async throws -> [TableShape] {
        let client = try await TransferServer.connect(endpoint)
        let shapes = try await TableShape.read(QualifiedName(schema: "public", name: name), key: key, from: client)
        await client.close()
        return shapes
    }

    private func rows(_ query: String, _ endpoint: PostgresEndpoint) async throws -> [String] {
        let client = try await TransferServer.connect(endpoint)
        let rows = try await client.query(query).rows.map { row in row.values.map { $0.map { String(buffer: $0) } ?? "NULL" }.joined(separator: "|") }
        await client.close()
        return rows
    }

    private func place(_ key: String, _ type: KeyType, _ destinations: RowDestinations) throws -> RowDestinations.Place {
        let bytes = ByteBuffer(string: key)
        return destinations.place(of: try type.token(parameter: bytes.readableBytesSpan, isBinary: false, oid: 0))
    }

    @Test(arguments: [1, 3]) func eachRowThatMovesArrivesOnceWhereTheRingSays(targets: Int) async throws {
        let shards = try await TransferServer.current.shards(targets + 1)
        try await TransferServer.run("CREATE TABLE t (note text, id bigint NOT NULL, n int)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT repeat('x', (g % 50)::int), g * 7919, g FROM generate_series(1, 20000) g", on: [shards[0]])
        let destinations = try Rings.split(over: targets)
        var settings = SnapshotCopy.Settings()
        settings.rangePages = 20
        settings.sessions = 3
        let copy = SnapshotCopy(
            try await shape("t", shards[0]), from: shards[0], to: Array(shards.dropFirst()), destinations, settings: settings, on: group)
        let progress = try await TransferServer.withSnapshot(of: shards[0]) { try await copy.run(snapshot: $0) }
        #expect(progress.rangesAll > 3 && progress.rangesDone == progress.rangesAll)
        #expect(progress.counts.rows == 20_000 && progress.counts.misplaced == 0)
        let all = try await rows("SELECT id, n, note FROM t ORDER BY id", shards[0])
        var moved = 0
        for (target, endpoint) in shards.dropFirst().enumerated() {
            let expected = try all.filter {
                try place(String($0.prefix { $0 != "|" }), .integer, destinations) == .moves(to: target)
            }
            #expect(!expected.isEmpty)
            #expect(try await rows("SELECT id, n, note FROM t ORDER BY id", endpoint) == expected)
            moved += expected.count
        }
        #expect(progress.counts.moved == moved)
    }

    @Test func onlyWhatTheSnapshotSawIsCopiedThoughRowsMoveAndCome() async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run("CREATE TABLE t (id int NOT NULL, n int)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT g, 0 FROM generate_series(1, 5000) g", on: [shards[0]])
        var settings = SnapshotCopy.Settings()
        settings.rangePages = 2
        let copy = SnapshotCopy(
            try await shape("t", shards[0]), from: shards[0], to: [shards[1]], try Rings.split(over: 1), settings: settings, on: group)
        let progress = try await TransferServer.withSnapshot(of: shards[0]) { snapshot in
            try await TransferServer.run(
                "UPDATE t SET n = 1; DELETE FROM t WHERE id % 3 = 0; INSERT INTO t SELECT g, 2 FROM generate_series(5001, 30000) g", on: [shards[0]])
            return try await copy.run(snapshot: snapshot)
        }
        #expect(progress.counts.rows == 5000)
        #expect(try await rows("SELECT count(*), count(DISTINCT id), min(n), max(n), max(id) <= 5000 FROM t", shards[1])
            == ["\(progress.counts.moved)|\(progress.counts.moved)|0|0|t"])
    }

    @Test func rowsOfAnotherShardsVnodesAreCountedAndLeft() async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run("CREATE TABLE t (id uuid NOT NULL)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 3000)", on: [shards[0]])
        // Half of the ring is another shard's before, and the target's is a quarter.
        let vnodes = RingCut.even(over: 1, vnodesEach: 64, after: 0)[0]
        let part = { (residues: Set<Int>) in vnodes.enumerated().filter { residues.contains($0.offset % 4) }.map(\.element) }
        let destinations = RowDestinations(
            of: ShardIndex(0), to: [ShardIndex(1)], before: try HashRing([part([0, 1]), [], part([2, 3])]),
            after: try HashRing([part([0]), part([1, 2]), part([3])]))
        let copy = SnapshotCopy(try await shape("t", shards[0]), from: shards[0], to: [shards[1]], destinations, on: group)
        let progress = try await TransferServer.withSnapshot(of: shards[0]) { try await copy.run(snapshot: $0) }
        let ids = try await rows("SELECT id FROM t ORDER BY id", shards[0])
        let places = try ids.map { try place($0, .uuid, destinations) }
        #expect(progress.counts.misplaced == places.count { $0 == .misplaced } && progress.counts.misplaced > 1000)
        #expect(try await rows("SELECT id FROM t ORDER BY id", shards[1]) == zip(ids, places).filter { $0.1 == .moves(to: 0) }.map(\.0))
    }

    /// Each of a kind whose binary form, order of columns or name could go wrong.
    private static let awkward: [(table: String, ddl: String, insert: String)] = [
        ("numbers", """
            CREATE TABLE numbers (a smallint, id bigint, b numeric, c numeric(12,4), d real, e double precision, f money)
            """, """
            INSERT INTO numbers SELECT g, g, (g::numeric / 7), g, g / 3.0, CASE g % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' WHEN 2 THEN 'Infinity' ELSE g / 7.0 END, g FROM generate_series(1, 500) g
            """),
        ("texts", """
            CREATE TABLE texts (id text, a varchar(100), b char(9), c bytea, d "char", e name, f jsonb, g json, h xml)
            """, """
            INSERT INTO texts SELECT 'k' || g || E'\\t\\n\\\\é', CASE WHEN g % 3 = 0 THEN '' END, 'ab', decode(md5(g::text), 'hex'), 'x', 'n', jsonb_build_object('a', g, 'b', null), '{"a" :  1}', '<a/>'
            FROM generate_series(1, 500) g
            """),
        ("times", """
            CREATE TABLE times (id int, a timestamptz, b timestamp, c date, d time, e timetz, f interval)
            """, """
            INSERT INTO times SELECT g, now() + g * interval '1 day', 'infinity', '0044-03-15 BC', '24:00', '12:00+05:30', interval '1 year -3 days 04:05:06.7' * g FROM generate_series(1, 500) g
            """),
        ("others", """
            CREATE TABLE others (a bit(5), id uuid, b varbit, c inet, d macaddr8, e point, f polygon, g tsvector, h tsquery, i int4range, j tstzmultirange, k pg_lsn, l int[], m text[][], n bool)
            """, """
            INSERT INTO others SELECT '10101', gen_random_uuid(), '101', '10.0.0.1/8', '08:00:2b:01:02:03:04:05', '(1,2)', '((0,0),(1,1),(2,0))', 'a:1 b:2', 'a & b', '[1,5)', '{[2020-01-01,2021-01-01)}', '1/2',
                ARRAY[g, NULL], ARRAY[['a','b'],['c',NULL]], g % 2 = 0 FROM generate_series(1, 500) g
            """),
        ("own", """
            CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (x int, y text); CREATE DOMAIN small AS int CHECK (VALUE < 1000); CREATE TYPE span AS RANGE (subtype = float8);
            CREATE TABLE own (id small, a mood, b mood[], c pair, d pair[], e span, f regclass, g small[], h regtype[])
            """, """
            INSERT INTO own SELECT g, 'sad', ARRAY['ok', 'sad']::mood[], ROW(g, E'a,"b\\t')::pair, ARRAY[ROW(1, NULL)::pair], '[1.5,2)', 'own', ARRAY[1, 2]::small[], ARRAY['pair', 'int']::regtype[] FROM generate_series(1, 500) g
            """),
        ("enums", """
            CREATE TYPE colour AS ENUM ('r', 'g'); CREATE TABLE enums (a colour, id int)
            """, "INSERT INTO enums SELECT 'g', g FROM generate_series(1, 500) g"),
        ("Odd \"Nä me", """
            CREATE TABLE "Odd ""Nä me" (gone int, "b c" text, id int, "select" int GENERATED ALWAYS AS (id * 2) STORED, "ID" int GENERATED BY DEFAULT AS IDENTITY); ALTER TABLE "Odd ""Nä me" DROP COLUMN gone
            """, "INSERT INTO \"Odd \"\"Nä me\" (\"b c\", id) SELECT 'x', g FROM generate_series(1, 500) g"),
        ("parts", """
            CREATE TABLE parts (id int, at date, v text) PARTITION BY RANGE (at);
            CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
            CREATE TABLE parts_b (v text, at date, id int); ALTER TABLE parts ATTACH PARTITION parts_b DEFAULT;
            """, "INSERT INTO parts SELECT g, date '2020-01-01' + g, 'v' FROM generate_series(1, 600) g"),
        ("wide", "CREATE TABLE wide (big text, id int, \((1...300).map { "c\($0) int" }.joined(separator: ", ")))",
            "ALTER TABLE wide ALTER big SET STORAGE EXTERNAL; INSERT INTO wide (big, id, c300) SELECT repeat(md5(g::text), 3000), g, g FROM generate_series(1, 60) g"),
    ]

    @Test(arguments: awkward) func everyKindOfRowArrivesAsItIs(_ kind: (table: String, ddl: String, insert: String)) async throws {
        let shards = try await TransferServer.current.shards(2)
        // Types made here have other object ids on the other server.
        try await TransferServer.run("CREATE TYPE first AS ENUM ()", on: [shards[1]])
        try await TransferServer.run(kind.ddl, on: shards)
        try await TransferServer.run(kind.insert, on: [shards[0]])
        let destinations = try Rings.split(over: 1)
        let shapes = try await shape(kind.table, shards[0])
        let copy = SnapshotCopy(shapes, from: shards[0], to: [shards[1]], destinations, on: group)
        _ = try await TransferServer.withSnapshot(of: shards[0]) { try await copy.run(snapshot: $0) }
        let name = "\"" + kind.table.replacing("\"", with: "\"\"") + "\""
        let query = "SELECT id, tableoid::regclass, t::text FROM \(name) t ORDER BY id::text COLLATE \"C\""
        let type = shapes[0].form.keyType
        let expected = try await rows(query, shards[0]).filter { try place(String($0.prefix { $0 != "|" }), type, destinations) == .moves(to: 0) }
        #expect(expected.count > 10)
        #expect(try await rows(query, shards[1]) == expected)
    }

    @Test func typesWithObjectIdsInTheirBinaryFormAreCopiedAsText() async throws {
        let shards = try await TransferServer.current.shards(1)
        for kind in Self.awkward { try await TransferServer.run(kind.ddl, on: shards) }
        let formats = try await Self.awkward.map(\.table).asyncMap { try await shape($0, shards[0])[0].form.format }
        #expect(formats == [.binary, .binary, .binary, .binary, .text, .binary, .binary, .binary, .binary])
    }

    @Test func whatHasNoRowsOfItsOwnIsRefused() async throws {
        let shards = try await TransferServer.current.shards(1)
        try await TransferServer.run("CREATE VIEW v AS SELECT 1 AS id; CREATE TABLE n (id numeric); CREATE TABLE g (a int, id int GENERATED ALWAYS AS (a) STORED)", on: shards)
        for name in ["v", "n", "g", "nowhere"] {
            await #expect(throws: TransferError.self) { try await shape(name, shards[0]) }
        }
    }

    @Test func aTargetThatRefusesARowIsNamedAndHasNone() async throws {
        let shards = try await TransferServer.current.shards(3)
        try await TransferServer.run("CREATE TABLE t (id int, v text)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g", on: [shards[0]])
        try await TransferServer.run("ALTER TABLE t ADD CHECK (id < 15000)", on: [shards[2]])
        let copy = SnapshotCopy(try await shape("t", shards[0]), from: shards[0], to: Array(shards.dropFirst()), try Rings.split(over: 2), on: group)
        let error = await #expect(throws: TransferError.self) {
            try await TransferServer.withSnapshot(of: shards[0]) { try await copy.run(snapshot: $0) }
        }
        guard case .target(1, let reason) = error else { throw try #require(error) }
        #expect(reason.sqlState == .checkViolation)
        #expect(try await rows("SELECT count(*) FROM t", shards[2]) == ["0"])
    }

    @Test(arguments: [0, 1]) func aSessionThatDiesInTheMiddleIsTheReason(which: Int) async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run("CREATE TABLE t (id int, v text)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g", on: [shards[0]])
        var settings = SnapshotCopy.Settings()
        settings.sessions = 1
        settings.bytesPerSecond = 1 << 20
        let copy = SnapshotCopy(try await shape("t", shards[0]), from: shards[0], to: [shards[1]], try Rings.split(over: 1), settings: settings, on: group)
        let killer = Task {
            while copy.progress.bytesRead < 1 << 19 { try await Task.sleep(for: .milliseconds(5)) }
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(shards[which].database ?? "")' AND query LIKE 'COPY%'"
            var killed = try await rows(sql, shards[0])
            // The target gets its rows behind the first that are read.
            while killed.isEmpty, !Task.isCancelled { killed = try await rows(sql, shards[0]) }
            return killed
        }
        defer { killer.cancel() }
        let error = await #expect(throws: TransferError.self) {
            try await TransferServer.withSnapshot(of: shards[0]) { try await copy.run(snapshot: $0) }
        }
        #expect(try await killer.value == ["t"])
        switch try #require(error) {
        case .source: #expect(which == 0)
        case .target(let position, _): #expect(which == 1 && position == 0)
        default: throw try #require(error)
        }
        #expect(try await rows("SELECT count(*) FROM t", shards[1]) == ["0"])
    }

    @Test func aCopyThatIsCancelledEndsAndLeavesNoSessions() async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run("CREATE TABLE t (id int, v text)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g", on: [shards[0]])
        var settings = SnapshotCopy.Settings()
        settings.bytesPerSecond = 1 << 20
        let copy = SnapshotCopy(try await shape("t", shards[0]), from: shards[0], to: [shards[1]], try Rings.split(over: 1), settings: settings, on: group)
        let task = Task { try await TransferServer.withSnapshot(of: shards[0]) { try await copy.run(snapshot: $0) } }
        while copy.progress.bytesRead < 1 << 19 { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' AND datname IN ('\(shards[0].database ?? "")', '\(shards[1].database ?? "")')"
        let deadline = ContinuousClock.now + .seconds(120)
        while try await rows(sessions, shards[0]) != ["0"], ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(50)) }
        #expect(try await rows(sessions, shards[0]) == ["0"])
        #expect(try await rows("SELECT count(*) FROM t", shards[1]) == ["0"])
    }
}

extension Sequence {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
