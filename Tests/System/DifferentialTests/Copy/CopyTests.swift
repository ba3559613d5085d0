import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ShardModel
import TestKit
import Testing

/// COPY to and from tables of several shards, and of one plain PostgreSQL that holds all the data: the same rows, counts and errors.
@Suite struct CopyTests {
    private static let keyTypes = ["cs": "smallint", "ci": "int", "cb": "bigint", "ct": "text", "cv": "varchar(6)", "cu": "uuid"]

    /// How data are written, and how they are read again.
    private static let forms: [(to: String, from: String)] = [
        ("", ""), ("(FORMAT text, DELIMITER '|', NULL 'nil')", "(FORMAT text, DELIMITER '|', NULL 'nil')"), ("(HEADER)", "(HEADER match)"),
        ("WITH DELIMITER AS ',' NULL AS ''", "WITH DELIMITER AS ',' NULL AS ''"), ("(ENCODING 'LATIN1')", "(ENCODING 'LATIN1')"),
        ("(FORMAT csv)", "(FORMAT csv)"), ("(FORMAT csv, HEADER true, FORCE_QUOTE *)", "(FORMAT csv, HEADER match, FORCE_NULL (a, k))"),
        ("CSV HEADER QUOTE '''' ESCAPE '\\' NULL 'x y'", "CSV HEADER QUOTE '''' ESCAPE '\\' NULL 'x y'"),
        ("(FORMAT csv, DELIMITER ';', FORCE_QUOTE (a))", "(FORMAT csv, DELIMITER ';', FORCE_NOT_NULL (a))"),
        ("(FORMAT csv, ENCODING 'iso-8859-1')", "(FORMAT csv, ENCODING latin1)"), ("(FORMAT binary)", "(FORMAT binary)"),
        ("WITH BINARY", "(FORMAT 'binary', ENCODING 'LATIN1')"),
    ]

    @Test func everyFormGoesThereAndBack() async throws {
        try await withBoth { both in
            for (table, type) in Self.keyTypes.sorted(by: { $0.key < $1.key }) {
                try await both.plain.execute("INSERT INTO \(table) " + Self.rows(type))
                let source = try await CopyPair.copyOut(both.plain, "COPY \(table) TO STDOUT").get()
                #expect(try await both.copyIn("COPY \(table) FROM STDIN", source, into: [both.router]) == .success(60))
                for form in Self.forms {
                    try await both.compareOut("COPY \(table) TO STDOUT \(form.to)")
                    let data = try await CopyPair.copyOut(both.plain, "COPY \(table) TO STDOUT \(form.to)").get()
                    try await both.empty(table)
                    #expect(try await both.copyIn("COPY \(table) FROM STDIN \(form.from)", data) == .success(60), "\(table) \(form)")
                    try await both.compareOut("COPY \(table) TO STDOUT")
                }
                for columns in ["(k, a)", "(k)", "(b, k)"] {
                    try await both.compareOut("COPY \(table) \(columns) TO STDOUT (FORMAT csv, HEADER)")
                    let data = try await CopyPair.copyOut(both.plain, "COPY \(table) \(columns) TO STDOUT (FORMAT binary)").get()
                    try await both.empty(table)
                    #expect(try await both.copyIn("COPY \(table) \(columns) FROM STDIN (FORMAT binary)", data) == .success(60))
                    try await both.compareOut("COPY \(table) TO STDOUT")
                }
                try await both.empty(table)
                for form in Self.forms { try await both.compareOut("COPY \(table) TO STDOUT \(form.to)") }
            }
        }
    }

    @Test func whereAndFreezeAndGeneratedColumns() async throws {
        try await withBoth { both in
            let data = (1...200).map { "a\($0)\t\($0)\t\($0).5\t2024-01-01\n" }.joined()
            for condition in ["k > 100", "a LIKE '%1%' AND b < 150", "d = '2024-01-01'", "false", "k / 0 > 1"] {
                _ = try await both.copyIn("COPY cb FROM STDIN WHERE \(condition)", data)
                _ = try await both.copyIn("COPY cb FROM STDIN (FORMAT csv, DELIMITER E'\\t') WHERE \(condition)", data)
                try await both.compareOut("COPY cb TO STDOUT")
            }
            for statement in ["BEGIN", "TRUNCATE cb"] { try await both.execute(statement) }
            #expect(try await both.copyIn("COPY cb FROM STDIN (FREEZE)", data) == .success(200))
            try await both.execute("COMMIT")
            // Without the TRUNCATE there is an error, and the same one.
            #expect(try await both.copyIn("COPY cb FROM STDIN (FREEZE)", data) == .failure("55000"))
            try await both.compareOut("COPY cb TO STDOUT")
            for statement in [
                "CREATE TABLE gen (k int, twice int GENERATED ALWAYS AS (k * 2) STORED)",
                "CREATE TABLE parts (k int, v int) PARTITION BY RANGE (v)", "CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10)",
            ] { try await both.execute(statement) }
            #expect(try await both.copyIn("COPY gen FROM STDIN", "1\n2\n3\n") == .success(3))
            #expect(try await both.copyIn("COPY parts FROM STDIN", "1\t1\n2\t2\n3\t3\n") == .success(3))
            #expect(try await both.copyIn("COPY parts FROM STDIN", "1\t1\n2\t2\n3\t10\n") == .failure("23514"))
            try await both.compareOut("COPY gen TO STDOUT")
            try await both.compareOut("COPY parts TO STDOUT")
            try await both.compareOut("COPY parts_low TO STDOUT (FORMAT csv, HEADER)")
        }
    }

    /// Transactions see what they wrote, and a failed COPY leaves nothing.
    @Test func insideOfTransactions() async throws {
        try await withBoth { both in
            let data = (1...40).map { "a\t\($0)\t1\t\\N\n" }.joined()
            try await both.execute("BEGIN")
            #expect(try await both.copyIn("COPY cb FROM STDIN", data) == .success(40))
            try await both.execute("DELETE FROM cb WHERE k = 7")
            try await both.compareOut("COPY cb TO STDOUT")
            try await both.execute("SAVEPOINT a")
            #expect(try await both.copyIn("COPY cb FROM STDIN", "a\t41\t1\t\\N\na\tx\t1\t\\N\n") != .success(2))
            try await both.execute("ROLLBACK TO a")
            try await both.compareOut("COPY cb TO STDOUT (FORMAT binary)")
            try await both.execute("ROLLBACK")
            try await both.compareOut("COPY cb TO STDOUT")
            // Snapshots of several shards are not one.
            try await both.router.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            let refused = try await CopyPair.copyOut(both.router, "COPY cb TO STDOUT")
            #expect(throws: CopyPair.Failure.self) { try refused.get() }
            try await both.router.execute("ROLLBACK")
            try await both.execute("BEGIN READ ONLY")
            try await both.compareOut("COPY cb TO STDOUT")
            #expect(try await both.copyIn("COPY cb FROM STDIN", data) == .failure("25006"))
            try await both.execute("ROLLBACK")
        }
    }

    // MARK: Spoiled data

    @Test func spoiledDataStoreWhatPostgreSQLStoresOrNothing() async throws {
        var seed: UInt64 = 0
        withSeed { seed = $0.seed }
        let random = SeededGenerator(seed: seed)
        try await withBoth { both in
            var random = random
            for table in ["cb", "ct", "cv", "cu", "cs"] {
                for form in Self.forms {
                    try await both.plain.execute("INSERT INTO \(table) " + Self.rows(Self.keyTypes[table]!) + " LIMIT 8")
                    let good = try await CopyPair.copyOut(both.plain, "COPY \(table) TO STDOUT \(form.to)").get()
                    try await both.empty(table)
                    for _ in 0..<6 {
                        let data = Self.spoiled(good, &random)
                        try await both.compareIn("COPY \(table) FROM STDIN \(form.from)", data)
                    }
                    try await both.compareOut("COPY \(table) TO STDOUT")
                    try await both.empty(table)
                }
            }
        }
    }

    private static func spoiled(_ data: ByteBuffer, _ random: inout SeededGenerator) -> ByteBuffer {
        var bytes = Array(data.readableBytesView)
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            guard !bytes.isEmpty else { break }
            let position = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.removeSubrange(position...)
            case 2: bytes.remove(at: position)
            case 3: bytes.insert([0, 9, 10, 13, 34, 44, 92, 255].randomElement(using: &random)!, at: position)
            default: bytes += bytes[position...]
            }
        }
        return ByteBuffer(bytes: bytes)
    }

    // MARK: The data

    /// 60 rows with what is odd in texts; the key is different in each.
    private static func rows(_ type: String) -> String {
        let key =
            switch type {
            case "text": "CASE g % 4 WHEN 0 THEN 'k' || g WHEN 1 THEN E'é\\t' || g WHEN 2 THEN E'\\\\' || g || E'\\n' ELSE '\"' || g || ',''' END"
            case "varchar(6)": "left(CASE g % 3 WHEN 0 THEN 'ké' ELSE E' ,\\t' END || g, 6)"
            case "uuid": "md5(g::text)::uuid"
            default: "(g - 30) * CASE g % 3 WHEN 0 THEN 1 ELSE 543 END"
            }
        return """
            SELECT (ARRAY['plain', NULL, '', E'tab\\there', E'line\\nend', E'cr\\rend', 'back\\slash', '"quoted"', 'a,b;c|d', E'\\\\.', 'ÿé', '\\N', 'nil',
                'x y', ' '])[g % 15 + 1] || CASE WHEN g % 7 = 0 THEN repeat('z', g * 20) ELSE '' END, (\(key))::\(type), CASE WHEN g % 5 > 0 THEN g / 3.0 END,
                CASE WHEN g % 4 > 0 THEN timestamptz '2024-01-01 UTC' + g * interval '1 hour' END
            FROM generate_series(1, 60) g
            """
    }

    private func withBoth(_ body: @escaping @Sendable (CopyPair) async throws -> Void) async throws {
        var tables = Self.keyTypes.mapValues { _ in Placement.sharded(key: "k") }
        for name in ["gen", "parts", "parts_low"] { tables[name] = .sharded(key: "k") }
        try await TestCluster.with(.init(shards: 4, tables: tables)) { cluster in
            try await cluster.servers[3].createDatabase("plain")
            let pair = CopyPair(
                router: try await CopyPair.connect(cluster.dsn), plain: try await CopyPair.connect(cluster.servers[3].dsn(database: "plain")))
            for (table, type) in Self.keyTypes {
                try await pair.execute("CREATE TABLE \(table) (a text, k \(type) NOT NULL, b numeric, d timestamptz)")
            }
            try await body(pair)
            await pair.router.close()
            await pair.plain.close()
        }
    }
}
