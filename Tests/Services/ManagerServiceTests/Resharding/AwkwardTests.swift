import CatalogStore
import ControlAPI
import ManagerService
import NIOPosix
import PostgresProcess
import RESTTestKit
import ReshardCore
import Secrets
import ShardModel
import ShardTransfer
import Testing

/// Tables of every kind arrive as they were, by the copy and by the stream.
@Suite(.reshardServers) struct AwkwardTests {
    @Test func whateverATableIsItIsCopiedAndFollowed() async throws {
        var kit = try await ReshardKit.make(.awkward)
        try await kit.run("ALTER TABLE keyless REPLICA IDENTITY DEFAULT", on: ReshardKit.source)
        guard case .impossible(let reason) = await kit.run(.check, as: .checking) else {
            Issue.record("changes of a table without a key cannot be followed")
            return
        }
        #expect(reason.contains("public.keyless") && reason.contains("REPLICA IDENTITY FULL"), "\(reason)")
        #expect(!reason.contains("identity_by_index"), "\(reason)")
        try await kit.run("ALTER TABLE keyless REPLICA IDENTITY FULL", on: ReshardKit.source)
        try await kit.bring()
        try await kit.run(Corpus.awkwardChanges, on: ReshardKit.source)
        for (effect, step) in [(JobEffect.catchUp(pause: .zero), JobStep.streaming), (.verify, .verifying), (.arm, .arming)] {
            let outcome = await kit.run(effect, as: step)
            try #require(outcome == .done, "\(step): \(outcome)")
        }
        try await kit.cutOver()
        let outcomes = try await kit.compare(ReshardKit.moved, ReshardKit.source, ReshardKit.target, .awkward)
        for outcome in outcomes { #expect(outcome.isEqual, "\(outcome)") }
        let rows = outcomes.reduce(0) { $0 + $1.rows }
        #expect(rows > 1000)
        #expect(try await kit.run(Corpus.awkward.referenceDigest, on: ReshardKit.target) == kit.run(Corpus.awkward.referenceDigest, on: ReshardKit.source))
        await kit.work.stopAll()
    }
}

/// The same tables there and back again, by whole jobs over HTTP.
@Suite(.serialized, .postgresServer()) struct AwkwardRoundTripTests {
    /// What pg_dump says of a database, without what differs from shard to shard.
    private func definitions(_ server: PostgresServer, _ database: String) async throws -> [String] {
        let program = try PostgresInstallation.find().path(of: "pg_dump")
        let dump = try await SupervisedProcess.runChecked(
            .init(program, ["--schema-only", "-N", "pgmosaic", "--no-publications", server.dsn(database: database)]))
        let shards = ["MINVALUE", "MAXVALUE", "START WITH", "EVENT TRIGGER", "restrict "]
        return dump.output.split(separator: "\n").map(String.init).filter { line in !line.hasPrefix("--") && !shards.contains { line.contains($0) } }
    }

    /// Every row of a database, with where it lies, in an order.
    private func rows(_ server: PostgresServer, _ databases: [String]) async throws -> [String: [String]] {
        var rows: [String: [String]] = [:]
        for table in Corpus.awkward.tables {
            let name = "\"\(table.name.schema.replacing("\"", with: "\"\""))\".\"\(table.name.name.replacing("\"", with: "\"\""))\""
            var found: [String] = []
            for database in table.placement == .reference ? Array(databases.prefix(1)) : databases {
                let text = try await server.psql("SELECT tableoid::regclass || ' ' || encode(convert_to(t::text, 'UTF8'), 'hex') FROM \(name) t", database: database)
                found += text.split(separator: "\n").map(String.init)
            }
            rows[name] = found.sorted()
        }
        return rows
    }

    private func finish(_ kit: ManagerKit, _ path: String, _ body: JSONValue) async throws {
        let begun = try await kit.server.post("/api/v1/reshard/\(path)", body)
        try kit.expect(202, begun)
        let id = try #require(begun.json?["id"]?.stringValue)
        try await RealJobTests.awaitStep("guarding", of: id, kit)
        try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/finish", .null))
        try await RealJobTests.awaitStep("over", of: id, kit)
    }

    private func expectSame(_ found: [String: [String]], as put: [String: [String]], _ when: String) {
        for (name, rows) in put { #expect(found[name] == rows, "\(when), \(name): \(found[name]?.count ?? 0) rows of \(rows.count)") }
    }

    @Test func tablesThatAreSplitAndMergedAreAsTheyWerePutIn() async throws {
        let server = try #require(PostgresServerTrait.server)
        let box = SecretBox(key: Array(0..<32))
        let inspector = PostgresShardInspector(box: box, group: .singleton, timeout: .seconds(60))
        let work = PostgresServerWork(box: box, group: MultiThreadedEventLoopGroup.singleton)
        try await ManagerKit.run(inspector: inspector, serverWork: work, box: box) { kit in
            for name in ["awkward_a", "awkward_b"] { try await server.createDatabase(name) }
            try await kit.makeDatabase(vnodes: 8)
            try kit.expect(201, await RealServerTests.register(kit, "a", server.dsn(database: "awkward_a")))
            let tables = Corpus.awkward.tables.map { CatalogChange.Operation.putTable(TableRecord(database: "app", name: $0.name, placement: $0.placement)) }
            _ = try await kit.store.commit(CatalogChange(tables, author: "test"), expecting: try await kit.store.load().epoch)
            for sql in [Corpus.awkward.schema, Corpus.awkward.rows, Corpus.awkwardChanges] { try await server.psql(sql, database: "awkward_a") }
            let (schema, put) = (try await definitions(server, "awkward_a"), try await rows(server, ["awkward_a"]))
            #expect(schema.count > 500 && put.values.reduce(0) { $0 + $1.count } > 2000)
            try kit.expect(201, await RealServerTests.register(kit, "b", server.dsn(database: "awkward_b")))

            try await finish(kit, "split", ["source_shard_id": "a", "target_shards": ["b"]])
            #expect(try await definitions(server, "awkward_b").difference(from: schema).isEmpty)
            #expect(try await definitions(server, "awkward_a").difference(from: schema).isEmpty)
            expectSame(try await rows(server, ["awkward_a", "awkward_b"]), as: put, "split")
            for database in ["awkward_a", "awkward_b"] { #expect(try await rows(server, [database]).values.reduce(0) { $0 + $1.count } > 500) }

            try await finish(kit, "merge", ["source_shard_ids": ["b"], "target_shard": "a"])
            #expect(try await definitions(server, "awkward_a").difference(from: schema).isEmpty)
            expectSame(try await rows(server, ["awkward_a"]), as: put, "merged")
            for (name, left) in try await rows(server, ["awkward_b"]) where name != "\"public\".\"lookup\"" { #expect(left == [], "\(name)") }
        }
    }
}
