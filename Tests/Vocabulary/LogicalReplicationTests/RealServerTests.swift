import Foundation
import LogicalReplication
import NIOCore
import PGWire
import PostgresProcess
import ReplicationFuzzing
import Testing
import WireFuzzing

/// One server for all tests of the suite; the tests run one after the other, with slots and tables of their own.
struct ReplicationServerTrait: SuiteTrait, TestScoping {
    @TaskLocal static var running: PostgresServer?

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-replication-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Decoding reads what is flushed: a commit must be when it is answered.
        let settings = ["shared_buffers": "16MB", "logical_decoding_work_mem": "64kB", "synchronous_commit": "on"]
        let server = try await PostgresServer.create(.init(dataDirectory: folder + "/data", settings: settings))
        let result: Result<Void, any Error>
        do { result = .success(try await Self.$running.withValue(server) { try await function() }) } catch { result = .failure(error) }
        await server.stop(.immediate)
        try result.get()
    }
}

extension SuiteTrait where Self == ReplicationServerTrait {
    static var replicationServer: ReplicationServerTrait { ReplicationServerTrait() }
}

@Suite(.serialized, .replicationServer) struct RealServerTests {
    private var server: PostgresServer { get throws { try #require(ReplicationServerTrait.running) } }

    private static func text(_ value: String) -> TupleValue { PGOutputSamples.text(value) }

    /// The changes of a script, as the SQL functions of logical decoding give them; the messages once more cut at every offset.
    private func decode(
        _ setUp: String, _ script: String, version: PGOutputVersion = .one, options: String = "", decodesPrepared: Bool = false
    ) async throws -> [PGOutputMessage] {
        let slot = "s" + UUID().uuidString.lowercased().filter { $0 != "-" }
        try await server.psql(setUp + ";CREATE PUBLICATION \(slot) FOR ALL TABLES")
        try await server.psql("SELECT pg_create_logical_replication_slot('\(slot)', 'pgoutput', false, \(decodesPrepared))")
        try await server.psql(script)
        let hex = try await server.psql(
            """
            SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes(
                '\(slot)', NULL, NULL, 'proto_version', '\(version.rawValue)', 'publication_names', '\(slot)'\(options));
            SELECT pg_drop_replication_slot('\(slot)');DROP PUBLICATION \(slot)
            """)
        var decoder = PGOutputDecoder(version: version)
        return try hex.split(whereSeparator: \.isNewline).enumerated().map { number, line in
            let bytes = try #require(ByteBuffer(hex: String(line)))
            // The first ones stand for thousands of the same form.
            let cuts = number < 50 ? Set(0..<min(bytes.readableBytes, 300)).union([bytes.readableBytes - 1]) : []
            for count in cuts {
                var copy = decoder
                #expect(throws: ReplicationError.self) { try copy.decode(bytes.getSlice(at: 0, length: count)!) }
            }
            let message = try decoder.decode(bytes)
            #expect(ByteBuffer(pgoutput: message) == bytes)
            return message
        }
    }

    @Test func everyChangeOfARowIsDecodedAsItWasMade() async throws {
        let messages = try await decode(
            #"CREATE TABLE "Größe" (id int8 PRIMARY KEY, v text, n numeric(10,2))"#,
            #"""
            INSERT INTO "Größe" VALUES (1, NULL, 1.5), (2, '', -1); UPDATE "Größe" SET v = 'é' WHERE id = 1;
            UPDATE "Größe" SET id = 3 WHERE id = 2; DELETE FROM "Größe" WHERE id = 3
            """#
        ).filter { !$0.isFrame }
        guard case .relation(let relation, xid: nil) = try #require(messages.first) else {
            Issue.record("no relation: \(messages)")
            return
        }
        #expect(relation.schema == "public" && relation.name == "Größe" && relation.replicaIdentity == .standard)
        #expect(
            relation.columns == [
                .init(name: "id", isKey: true, typeOID: 20), .init(name: "v", isKey: false, typeOID: 25),
                .init(name: "n", isKey: false, typeOID: 1700, typeModifier: 655_366),
            ])
        let id = relation.id
        #expect(
            Array(messages.dropFirst()) == [
                .insert(RowInsert(relation: id, row: [Self.text("1"), .null, Self.text("1.50")]), xid: nil),
                .insert(RowInsert(relation: id, row: [Self.text("2"), Self.text(""), Self.text("-1.00")]), xid: nil),
                .update(RowUpdate(relation: id, old: nil, row: [Self.text("1"), Self.text("é"), Self.text("1.50")]), xid: nil),
                .update(
                    RowUpdate(relation: id, old: .key([Self.text("2"), .null, .null]), row: [Self.text("3"), Self.text(""), Self.text("-1.00")]), xid: nil),
                .delete(RowDelete(relation: id, old: .key([Self.text("3"), .null, .null])), xid: nil),
            ])
    }

    @Test func theFourReplicaIdentitiesTellWhatTheyTell() async throws {
        let messages = try await decode(
            """
            CREATE TABLE ri_full (a int4, b text); ALTER TABLE ri_full REPLICA IDENTITY FULL;
            CREATE TABLE ri_index (a int4, b text NOT NULL UNIQUE);
            ALTER TABLE ri_index REPLICA IDENTITY USING INDEX ri_index_b_key;
            CREATE TABLE ri_nothing (a int4); ALTER TABLE ri_nothing REPLICA IDENTITY NOTHING;
            CREATE TABLE ri_generated (a int4 PRIMARY KEY, b int4 GENERATED ALWAYS AS (a * 2) STORED, c int4);
            ALTER TABLE ri_generated DROP COLUMN c
            """,
            """
            INSERT INTO ri_full VALUES (1, 'x'); UPDATE ri_full SET a = 2; DELETE FROM ri_full;
            INSERT INTO ri_index VALUES (1, 'x'); UPDATE ri_index SET b = 'y'; DELETE FROM ri_index;
            INSERT INTO ri_nothing VALUES (1); INSERT INTO ri_generated VALUES (1)
            """)
        var relations: [String: Relation] = [:]
        for case .relation(let relation, _) in messages { relations[relation.name] = relation }
        #expect(relations["ri_full"]?.replicaIdentity == .full)
        #expect(relations["ri_full"]?.columns.map(\.isKey) == [true, true])
        #expect(relations["ri_index"]?.replicaIdentity == .index)
        #expect(relations["ri_index"]?.columns.map(\.isKey) == [false, true])
        #expect(relations["ri_nothing"]?.replicaIdentity == .nothing)
        #expect(relations["ri_generated"]?.columns.map(\.name) == ["a"], "neither generated nor dropped columns are sent")
        let old = messages.compactMap(\.oldRow)
        #expect(
            old == [
                .full([Self.text("1"), Self.text("x")]), .full([Self.text("2"), Self.text("x")]), .key([.null, Self.text("x")]),
                .key([.null, Self.text("y")]),
            ])
    }

    @Test func aValueOutOfLineThatDidNotChangeIsNotSent() async throws {
        // Random bytes, so that no compression keeps it in line.
        let value = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) i)"
        let messages = try await decode(
            """
            CREATE TABLE toasted (id int4 PRIMARY KEY, v text, n int4);
            CREATE TABLE toasted_full (LIKE toasted); ALTER TABLE toasted_full REPLICA IDENTITY FULL
            """,
            """
            INSERT INTO toasted VALUES (1, \(value), 1); UPDATE toasted SET n = 2;
            INSERT INTO toasted_full VALUES (1, \(value), 1); UPDATE toasted_full SET n = 2
            """)
        let updates = messages.compactMap { (message) -> RowUpdate? in if case .update(let update, _) = message { update } else { nil } }
        try #require(updates.count == 2)
        #expect(updates.map(\.row) == [[Self.text("1"), .unchangedToast, Self.text("2")], [Self.text("1"), .unchangedToast, Self.text("2")]])
        #expect(updates[0].old == nil)
        guard case .full(let old)? = updates[1].old, case .text(let kept) = old[1] else {
            Issue.record("no old row")
            return
        }
        #expect(kept.readableBytes == 6400, "with replica identity full the value is in the old row")
    }

    @Test func truncateTypesMessagesAndOriginsAreDecoded() async throws {
        let messages = try await decode(
            """
            CREATE TYPE mood AS ENUM ('ok', 'so'); CREATE TABLE tr_a (a int4 PRIMARY KEY, m mood);
            CREATE TABLE tr_b (b int4 REFERENCES tr_a); SELECT pg_replication_origin_create('elsewhere')
            """,
            """
            TRUNCATE tr_a CASCADE; TRUNCATE tr_b RESTART IDENTITY; INSERT INTO tr_a VALUES (1, 'so');
            SELECT pg_logical_emit_message(true, 'pre', '\\x00ff'::bytea), pg_logical_emit_message(false, '', '');
            SELECT pg_replication_origin_session_setup('elsewhere'); BEGIN; SELECT pg_replication_origin_xact_setup('0/AB', now());
            INSERT INTO tr_a VALUES (2); COMMIT
            """, options: ", 'messages', 'true'")
        var relations: [String: RelationID] = [:]
        for case .relation(let relation, _) in messages { relations[relation.name] = relation.id }
        let truncates = messages.compactMap { (message) -> Truncate? in if case .truncate(let truncate, _) = message { truncate } else { nil } }
        let (a, b) = (try #require(relations["tr_a"]), try #require(relations["tr_b"]))
        #expect(truncates.map { Set($0.relations) } == [[a, b], [b]])
        #expect(truncates.map(\.isCascade) == [true, false])
        #expect(truncates.map(\.restartsIdentity) == [false, true])
        #expect(messages.contains { if case .type(let type, _) = $0 { type.schema == "public" && type.name == "mood" } else { false } })
        let emitted = messages.compactMap { (message) -> LogicalMessage? in if case .message(let emitted, _) = message { emitted } else { nil } }
        #expect(Set(emitted.map(\.isTransactional)) == [true, false])
        #expect(emitted.first { $0.isTransactional }?.content == ByteBuffer(bytes: [0, 255]))
        #expect(messages.contains(.origin(position: LSN(0xAB), name: "elsewhere")))
    }

    @Test func binaryValuesComeAsTheTypesSendThem() async throws {
        let messages = try await decode(
            "CREATE TABLE bin (id int8 PRIMARY KEY, u uuid)", "INSERT INTO bin VALUES (7, '00000000-0000-0000-0000-0000000000ff')", version: .two,
            options: ", 'binary', 'true'")
        let rows = messages.compactMap { (message) -> [TupleValue]? in if case .insert(let insert, _) = message { insert.row } else { nil } }
        #expect(rows == [[.binary(ByteBuffer(integer: 7 as Int64)), .binary(ByteBuffer(bytes: [UInt8](repeating: 0, count: 15) + [255]))]])
    }

    @Test func aLargeTransactionIsStreamedInBlocksAndItsSavepointTakenBack() async throws {
        let messages = try await decode(
            "CREATE TABLE big (id int8 PRIMARY KEY, v text)",
            """
            BEGIN; INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i; SAVEPOINT s;
            INSERT INTO big SELECT i, repeat('y', 100) FROM generate_series(2001, 4000) i; ROLLBACK TO s; INSERT INTO big VALUES (9999, 'z'); COMMIT
            """, version: .two, options: ", 'streaming', 'on'")
        let starts = messages.compactMap { (message) -> StreamStart? in if case .streamStart(let start) = message { start } else { nil } }
        #expect(starts.count > 1)
        #expect(starts.map(\.isFirst) == [true] + [Bool](repeating: false, count: starts.count - 1))
        let xid = try #require(starts.first?.xid)
        #expect(Set(starts.map(\.xid)) == [xid])
        var undone: Set<TransactionID> = []
        for case .streamAbort(xid, let subtransaction) in messages { undone.insert(subtransaction) }
        var kept = 0
        for case .insert(_, let of?) in messages where !undone.contains(of) { kept += 1 }
        #expect(kept == 2001)
        guard case .streamCommit(let commit, xid)? = messages.last else {
            Issue.record("does not end: \(messages.suffix(1))")
            return
        }
        #expect(commit.commitLSN < commit.endLSN)
    }

    @Test func preparedTransactionsAreDecodedAtTheirPrepare() async throws {
        let messages = try await decode(
            "CREATE TABLE two (id int8 PRIMARY KEY)",
            """
            BEGIN; INSERT INTO two VALUES (1); PREPARE TRANSACTION 'g''1'; COMMIT PREPARED 'g''1';
            BEGIN; INSERT INTO two VALUES (2); PREPARE TRANSACTION 'g2'; ROLLBACK PREPARED 'g2';
            BEGIN; INSERT INTO two SELECT generate_series(10, 5000); PREPARE TRANSACTION 'g3'; COMMIT PREPARED 'g3'
            """, version: .three, options: ", 'two_phase', 'on', 'streaming', 'on'", decodesPrepared: true)
        var seen: [String] = []
        for message in messages {
            switch message {
            case .beginPrepare(let begin): seen.append("begin \(begin.gid)")
            case .prepare(let prepare): seen.append("prepare \(prepare.gid)")
            case .streamPrepare(let prepare): seen.append("stream prepare \(prepare.gid)")
            case .commitPrepared(let commit): seen.append("commit \(commit.gid)")
            case .rollbackPrepared(let rollback): seen.append("roll back \(rollback.gid)")
            default: break
            }
        }
        #expect(seen == ["begin g'1", "prepare g'1", "commit g'1", "begin g2", "prepare g2", "roll back g2", "stream prepare g3", "commit g3"])
    }

    /// A session for replication: every command, the stream byte by byte, positions reported and started from again.
    @Test func theServerTakesEveryCommandAndStartsWhereItIsTold() async throws {
        let port = try server.port
        let slot = try #require(SlotName("live_1"))
        try await server.psql(#"CREATE TABLE live (id int8 PRIMARY KEY, v text); CREATE PUBLICATION "It's ""one"" \x" FOR TABLE live"#)
        let session = try ReplicationSession(port: port)
        let identity = try #require(try SystemIdentity(row: session.query(ReplicationCommand.identifySystem.text).first ?? []))
        #expect(identity.timeline == 1 && identity.database == "postgres")
        let create = ReplicationCommand.createSlot(slot, isTemporary: false, snapshot: .export, decodesPrepared: false)
        let created = try #require(try CreatedSlot(row: session.query(create.text).first ?? []))
        #expect(created.slot == slot && created.consistentPoint > .none)
        let snapshot = try #require(created.snapshot)
        // What comes after the slot is in the stream, and not in its snapshot.
        try await server.psql("INSERT INTO live VALUES (1, 'a')")
        let reading = "BEGIN ISOLATION LEVEL REPEATABLE READ; \(ReplicationCommand.setSnapshot(snapshot)); SELECT count(*) FROM live; COMMIT"
        let seen = try await server.psql(reading)
        #expect(seen == "0")
        try await server.psql("INSERT INTO live VALUES (2, 'b')")

        var request = StreamRequest(slot: slot, start: created.consistentPoint, version: .one, publications: [#"It's "one" \x"#])
        session.isByteAtATime = true
        try session.start(request)
        var commits = 0
        let first = try session.stream(.one) { message in
            if case .commit = message { commits += 1 }
            return commits == 2
        }
        #expect(first.inserts == ["1", "2"])
        let ends = first.compactMap { (message) -> TransactionCommit? in if case .commit(let commit) = message { commit } else { nil } }
        try #require(ends.count == 2)
        #expect(created.consistentPoint <= ends[0].commitLSN && ends[0].commitLSN < ends[0].endLSN && ends[0].endLSN <= ends[1].commitLSN)
        // Asked, the server says how far it is: at least at the end of what it has sent.
        try session.report(ends[0].endLSN, asksForReply: true)
        guard case .keepalive(let keepalive) = try session.nextOfStream() else {
            Issue.record("no keepalive")
            return
        }
        #expect(keepalive.end >= ends[1].endLSN)
        try session.stop()

        // From the end of the first transaction on: the second one again, and not the first.
        try await server.psql("INSERT INTO live VALUES (3, 'c')")
        request.start = ends[0].endLSN
        request.version = .three
        (request.isBinary, request.streamsInProgress, request.sendsMessages) = (true, true, true)
        let other = try ReplicationSession(port: port)
        try other.start(request)
        commits = 0
        let second = try other.stream(.three) { message in
            if case .commit = message { commits += 1 }
            return commits == 2
        }
        #expect(second.inserts == ["2", "3"])
        try other.stop()
        _ = try session.query(ReplicationCommand.dropSlot(slot, waits: true).text)
        let temporary = try #require(SlotName("live_2"))
        _ = try session.query(ReplicationCommand.createSlot(temporary, isTemporary: true, snapshot: .none, decodesPrepared: true).text)
        _ = try session.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        let used = try session.query(ReplicationCommand.createSlot(slot, isTemporary: true, snapshot: .use, decodesPrepared: false).text)
        #expect(CreatedSlot(row: used.first ?? [])?.snapshot == nil)
        _ = try session.query("COMMIT")
        for slot in [slot, temporary] { _ = try session.query(ReplicationCommand.dropSlot(slot, waits: false).text) }
        #expect(try await server.psql("SELECT count(*) FROM pg_replication_slots") == "0")
    }
}

extension PGOutputMessage {
    fileprivate var isFrame: Bool {
        switch self {
        case .begin, .commit: true
        default: false
        }
    }

    fileprivate var oldRow: OldRow? {
        switch self {
        case .update(let update, _): update.old
        case .delete(let delete, _): delete.old
        default: nil
        }
    }
}

extension [PGOutputMessage] {
    /// The first value of each inserted row.
    fileprivate var inserts: [String] {
        compactMap {
            guard case .insert(let insert, _) = $0 else { return nil }
            switch insert.row.first {
            case .text(let bytes): return String(buffer: bytes)
            case .binary(let bytes): return bytes.getInteger(at: bytes.readerIndex, as: Int64.self).map { "\($0)" }
            default: return nil
            }
        }
    }
}

extension ByteBuffer {
    fileprivate init?(hex: String) {
        let digits = hex.compactMap(\.hexDigitValue)
        guard digits.count == hex.utf8.count, digits.count % 2 == 0 else { return nil }
        self.init(bytes: stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
    }
}
