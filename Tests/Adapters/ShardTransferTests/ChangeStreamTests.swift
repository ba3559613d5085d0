import ChangeCore
import Foundation
import LogicalReplication
import NIOPosix
import PGChannel
import PostgresProcess
import ShardModel
import ShardTransfer
import Synchronization
import TestKit
import Testing
import TransferCore

/// A copy, and what changes behind it, onto two targets.
@Suite(.transferServer) struct ChangeStreamTests {
    private static let group = MultiThreadedEventLoopGroup.singleton
    private static let vnodes = RingCut.even(over: 1, vnodesEach: 12, after: 0)[0]
    private static let names = ["a", "b"].map { ShardID($0) }

    /// Of each three vnodes one stays.
    private static func part(_ residue: Int) -> [VNode] { vnodes.enumerated().filter { $0.offset % 3 == residue }.map(\.element) }

    private static func ranges() throws -> MovedRanges {
        try #require(MovedRanges((1...2).flatMap { target in part(target).map { .init(range: $0.range, target: names[target - 1]) } }))
    }

    private static func destinations() throws -> RowDestinations {
        RowDestinations(
            of: ShardIndex(0), to: [ShardIndex(1), ShardIndex(2)], before: try HashRing([vnodes, [], []]),
            after: try HashRing([part(0), part(1), part(2)]))
    }

    private static let schema = """
        CREATE SCHEMA pgmosaic; \(TargetPosition.table)
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE plain (id bigint PRIMARY KEY, n int NOT NULL, note text, long text);
        ALTER TABLE plain ALTER long SET STORAGE EXTERNAL;
        CREATE TABLE whole (id int, v float8, js json, m mood, p point); ALTER TABLE whole REPLICA IDENTITY FULL;
        CREATE TABLE "Odd ""T" (id text, "n m" int GENERATED ALWAYS AS IDENTITY, twice text GENERATED ALWAYS AS (id || id) STORED, at timestamptz, PRIMARY KEY (at, id));
        CREATE TABLE parts (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2020-07-01');
        CREATE TABLE parts_b (v text, at date NOT NULL, id int NOT NULL); ALTER TABLE parts ATTACH PARTITION parts_b DEFAULT;
        """
    private static let tables = ["plain", "whole", "Odd \"T", "parts"]
    private static let fill = """
        INSERT INTO plain SELECT g, 0, 'n' || g, repeat(md5(g::text), 100) FROM generate_series(1, 600) g;
        INSERT INTO whole SELECT g % 150, g % 3, '{}', 'ok', '(1,2)' FROM generate_series(1, 600) g;
        INSERT INTO "Odd ""T" (id, at) SELECT 'k' || g, '2020-01-01 00:00+00' FROM generate_series(1, 300) g;
        INSERT INTO parts SELECT g, date '2020-01-01' + g % 365, 'v' FROM generate_series(1, 600) g;
        """

    /// A statement of a kind that changes rows, by chance.
    private static func change(_ random: inout SeededGenerator) -> String {
        let id = Int.random(in: 1...700, using: &random)
        return switch Int.random(in: 0..<15, using: &random) {
        case 0: "INSERT INTO plain VALUES (\(id), 1, 'new', repeat('x', 3000)) ON CONFLICT (id) DO UPDATE SET n = plain.n + 1"
        case 1: "UPDATE plain SET n = n + 1 WHERE id = \(id)"
        case 2: "UPDATE plain SET long = repeat(md5(n::text), 90), note = NULL WHERE id BETWEEN \(id) AND \(id + 5)"
        case 3: "DELETE FROM plain WHERE id = \(id)"
        case 4: "UPDATE plain SET id = id + 100000, long = long || 'y' WHERE id = \(id)"
        case 5: "INSERT INTO whole VALUES (\(id % 150), '-0', NULL, 'sad', NULL)"
        case 6: "DELETE FROM whole WHERE ctid = (SELECT ctid FROM whole WHERE id = \(id % 150) LIMIT 1)"
        case 7: "UPDATE whole SET v = v + 1, js = '{\"a\": \(id)}' WHERE id = \(id % 150)"
        case 8: "UPDATE whole SET id = id + 1 WHERE ctid = (SELECT ctid FROM whole WHERE id = \(id % 150) LIMIT 1)"
        case 9: "INSERT INTO \"Odd \"\"T\" (id, at) VALUES ('x\(id)', '2021-01-01 00:00+00') ON CONFLICT DO NOTHING"
        case 10: "UPDATE \"Odd \"\"T\" SET at = at + interval '1 hour' WHERE id = 'k\(id)'"
        case 11: "UPDATE parts SET at = date '2020-01-01' + \(id % 365), v = 'moved' WHERE id = \(id)"
        case 12: "DELETE FROM parts WHERE id BETWEEN \(id) AND \(id + 2)"
        case 13: "SAVEPOINT s; UPDATE plain SET n = -1; ROLLBACK TO s"
        default: "INSERT INTO parts VALUES (\(id), '2025-01-01', NULL) ON CONFLICT DO NOTHING"
        }
    }

    /// Writes transactions until told to end; some are rolled back.
    private static func write(_ source: PostgresEndpoint, seed: UInt64, until isOver: @Sendable () -> Bool) async throws {
        var random = SeededGenerator(seed: seed)
        let client = try await TransferServer.connect(source)
        while !isOver() {
            let length = [1, 1, 2, 8].randomElement(using: &random) ?? 1
            var script = "BEGIN; "
            for _ in 0..<length { script += change(&random) + "; " }
            script += Int.random(in: 0..<8, using: &random) == 0 ? "ROLLBACK" : "COMMIT"
            do {
                _ = try await client.execute(script)
            } catch let error as PGClientError where error.serverError != nil {
                // Two rows of one key, or a deadlock of two writers: neither is what is looked at here.
                _ = try await client.execute("ROLLBACK")
            }
        }
        await client.close()
    }

    private final class Flag: Sendable {
        private let value = Mutex(false)
        var isSet: Bool { value.withLock(\.self) }
        func set() { value.withLock { $0 = true } }
    }

    /// A move that has been copied, and can be followed from where the targets are.
    private struct Move {
        var shards: [PostgresEndpoint]
        var slot: SlotName
        var tables: [MovedTable]
        var shapes: [TableShape]
        var place: TargetPosition

        func stream() async throws -> (stream: ChangeStream, session: PGClient) {
            var stored: [ShardID: LSN] = [:]
            var appliers: [ShardID: ChangeApplier] = [:]
            for (name, endpoint) in zip(ChangeStreamTests.names, shards.dropFirst()) {
                let client = try await TransferSession.open(endpoint, on: ChangeStreamTests.group)
                stored[name] = try await place.read(from: client)
                let applier = ChangeApplier(client, place, tables: tables)
                try await applier.prepare()
                appliers[name] = applier
            }
            let router = ChangeRouter(ranges: try ChangeStreamTests.ranges(), tables: tables, stored: stored)
            let stream = ChangeStream(slot, publications: ["p"], router: router, stored: stored, targets: appliers)
            return (stream, try await ReplicationSession.open(shards[0], on: ChangeStreamTests.group))
        }

        /// Until every target has all that is committed now.
        func catchUp(_ stream: ChangeStream) async throws {
            let client = try await TransferServer.connect(shards[0])
            let end = try #require(try await client.query("SELECT pg_current_wal_lsn()").rows.first?.text(0).flatMap { LSN(text: $0) })
            // Something behind it, so that the log goes on.
            _ = try await client.execute("SELECT pg_logical_emit_message(false, 'end', '')")
            for _ in 0..<1200 where !stream.progress.positions.hasReached(end) { try await Task.sleep(for: .milliseconds(50)) }
            #expect(stream.progress.positions.hasReached(end), "\(stream.progress), \(end)")
            await client.close()
        }

        func expectEqual() async throws {
            let all = try HashRing([ChangeStreamTests.vnodes])
            for (target, endpoint) in shards.dropFirst().enumerated() {
                let mine = Set(ChangeStreamTests.part(target + 1).map(\.id))
                let comparison = TableComparison(
                    of: Set(ChangeStreamTests.vnodes.map(\.id)).subtracting(mine), in: all, source: .init(endpoint), target: .init(endpoint),
                    on: ChangeStreamTests.group)
                for outcome in try await comparison.run(shapes) { #expect(outcome.rows == 0, "rows of others: \(outcome)") }
                let same = TableComparison(of: mine, in: all, source: .init(shards[0]), target: .init(endpoint), on: ChangeStreamTests.group)
                let outcomes = try await same.run(shapes)
                #expect(outcomes.count == 5 && outcomes.allSatisfy { $0.rows > 10 })
                for outcome in outcomes { #expect(outcome.isEqual, "\(outcome)") }
            }
        }
    }

    /// - work: runs beside the copy, until that is done.
    private func move(
        whileCopying work: @escaping @Sendable (PostgresEndpoint, @escaping @Sendable () -> Bool) async throws -> Void = { _, _ in }
    ) async throws -> Move {
        let shards = try await TransferServer.current.shards(3)
        // Types have other object ids there.
        try await TransferServer.run("CREATE TYPE first AS ENUM ()", on: Array(shards.dropFirst()))
        try await TransferServer.run(Self.schema, on: shards)
        try await TransferServer.run(Self.fill + "; CREATE PUBLICATION p FOR ALL TABLES", on: [shards[0]])
        let slot = try #require(SlotName("s" + UUID().uuidString.lowercased().replacing("-", with: "")))
        let client = try await TransferServer.connect(shards[0])
        var (tables, shapes): ([MovedTable], [TableShape]) = ([], [])
        for name in Self.tables.map({ QualifiedName(schema: "public", name: $0) }) {
            tables += try await MovedTable.read(name, key: "id", from: client)
            shapes += try await TableShape.read(name, key: "id", from: client)
        }
        await client.close()
        let session = try await ReplicationSession.open(shards[0], on: Self.group)
        let created = try await ReplicationSession.createSlot(slot, session)
        let isCopied = Flag()
        async let working: Void = work(shards[0]) { isCopied.isSet }
        let copy = SnapshotCopy(shapes, from: shards[0], to: Array(shards.dropFirst()), try Self.destinations(), on: Self.group)
        _ = try await copy.run(snapshot: try #require(created.snapshot))
        isCopied.set()
        try await working
        await session.close()
        let place = TargetPosition(job: "job", source: ShardID("source"))
        for endpoint in shards.dropFirst() {
            let client = try await TransferServer.connect(endpoint)
            try await place.begin(at: created.consistentPoint, on: client)
            await client.close()
        }
        return Move(shards: shards, slot: slot, tables: tables, shapes: shapes, place: place)
    }

    private func end(_ move: Move) async throws {
        try await waitUntilFree(move)
        try await TransferServer.run("SELECT pg_drop_replication_slot('\(move.slot)')", on: [move.shards[0]])
    }

    /// The source's process may take a moment to give up the slot.
    private func waitUntilFree(_ move: Move) async throws {
        let sql = "DO $$BEGIN WHILE EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '\(move.slot)' AND active) LOOP PERFORM pg_sleep(0.02); END LOOP; END$$"
        try await TransferServer.run(sql, on: [move.shards[0]])
    }

    @Test func whatChangesDuringAndBehindTheCopyArrives() async throws {
        let seed = UInt64.random(in: 0..<1 << 32)
        print("seed \(seed)")
        let move = try await move { source, isCopied in try await Self.write(source, seed: seed, until: isCopied) }
        let (stream, session) = try await move.stream()
        let following = Task { try await stream.run(session) }
        let isWritten = Flag()
        async let first: Void = Self.write(move.shards[0], seed: seed + 1, until: { isWritten.isSet })
        async let second: Void = Self.write(move.shards[0], seed: seed + 2, until: { isWritten.isSet })
        try await Task.sleep(for: .seconds(4))
        // A busy machine takes longer for so many.
        for _ in 0..<2400 where stream.progress.changes <= 100 { try await Task.sleep(for: .milliseconds(50)) }
        isWritten.set()
        _ = try await (first, second)
        try await move.catchUp(stream)
        #expect(stream.progress.changes > 100)
        try await move.expectEqual()
        following.cancel()
        _ = await following.result
        await session.close()
        try await end(move)
    }

    @Test func aStreamThatIsCutAgainAndAgainRepeatsAndSkipsNothing() async throws {
        let seed = UInt64.random(in: 0..<1 << 32)
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let move = try await move()
        let isWritten = Flag()
        async let writing: Void = Self.write(move.shards[0], seed: seed, until: { isWritten.isSet })
        for _ in 0..<8 {
            let (stream, session) = try await move.stream()
            let following = Task { try await stream.run(session) }
            try await Task.sleep(for: .milliseconds(Int.random(in: 20..<500, using: &random)))
            // A target's session, the other's, or the source's.
            let which = Int.random(in: 0..<3, using: &random)
            let name = move.shards[which].database ?? ""
            let victim = which == 0 ? "SELECT active_pid FROM pg_replication_slots WHERE slot_name = '\(move.slot)'"
                : "SELECT pid FROM pg_stat_activity WHERE datname = '\(name)' AND pid <> pg_backend_pid()"
            // The stream may not have begun.
            let cut = "DO $$BEGIN WHILE NOT coalesce((SELECT bool_or(pg_terminate_backend(pid)) FROM (\(victim)) v(pid)), false) LOOP PERFORM pg_sleep(0.02), pg_stat_clear_snapshot(); END LOOP; END$$"
            try await TransferServer.run(cut, on: [move.shards[which]])
            await #expect(throws: (any Error).self) { try await following.value }
            await session.close()
            try await waitUntilFree(move)
        }
        isWritten.set()
        try await writing
        let (stream, session) = try await move.stream()
        let following = Task { try await stream.run(session) }
        try await move.catchUp(stream)
        try await move.expectEqual()
        following.cancel()
        _ = await following.result
        await session.close()
        try await end(move)
    }

    @Test func aTruncatedTableLosesWhatCameFromTheSourceAndNothingElse() async throws {
        let move = try await move()
        let (stream, session) = try await move.stream()
        let following = Task { try await stream.run(session) }
        try await TransferServer.run("TRUNCATE plain, parts; INSERT INTO plain SELECT g, 5, 'again' FROM generate_series(1, 200) g; INSERT INTO parts SELECT g, '2020-02-02', 'x' FROM generate_series(1, 400) g; INSERT INTO parts SELECT g, '2022-02-02', 'x' FROM generate_series(1, 400) g", on: [move.shards[0]])
        try await move.catchUp(stream)
        try await move.expectEqual()
        following.cancel()
        _ = await following.result
        await session.close()
        try await end(move)
    }

    @Test func anIdentityThatIsAlwaysGeneratedAndWasChangedStopsTheStream() async throws {
        let move = try await move()
        let (stream, session) = try await move.stream()
        let following = Task { try await stream.run(session) }
        try await TransferServer.run("UPDATE \"Odd \"\"T\" SET \"n m\" = DEFAULT", on: [move.shards[0]])
        let error = await #expect(throws: TransferError.self) { try await following.value }
        guard case .diverged(0) = error else { throw try #require(error) }
        await session.close()
        try await end(move)
    }

    @Test func aTargetThatLacksARowStopsTheStream() async throws {
        let move = try await move()
        try await TransferServer.run("DELETE FROM plain", on: Array(move.shards.dropFirst()))
        let (stream, session) = try await move.stream()
        let following = Task { try await stream.run(session) }
        try await TransferServer.run("UPDATE plain SET n = 7", on: [move.shards[0]])
        let error = await #expect(throws: TransferError.self) { try await following.value }
        guard case .diverged(0) = error else { throw try #require(error) }
        await session.close()
        try await end(move)
    }
}
