import CatalogStore
import ControlAPI
import ManagerService
import RESTTestKit
import ReshardCore
import ShardModel
import Testing

/// Shards that are filled and emptied, over HTTP; what servers do is scripted.
@Suite struct EvenShardRouteTests {
    /// Two owners with a table, and s3, which joins.
    private func run(_ body: @Sendable (ManagerKit) async throws -> Void) async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            try kit.expect(201, await kit.declare("t", "sharded", key: "id"))
            kit.servers["h3/d"] = .init()
            try kit.expect(201, await kit.addShard("s3", on: "h3/d"))
            try await body(kit)
        }
    }

    private func wait(_ kit: ManagerKit, _ id: String, for step: String) async throws {
        let deadline = ContinuousClock.now + .seconds(600)
        while try await kit.server.get("/api/v1/reshard/jobs/\(id)").json?["step"]?.stringValue != step {
            guard deadline > .now else { throw RawHTTPError(description: "the job is not \(step) in time") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func begin(_ kit: ManagerKit, _ path: String, _ shard: String) async throws -> String {
        let answer = try await kit.server.post("/api/v1/reshard/\(path)", ["shard_id": .string(shard)])
        #expect(answer.status == 202 && answer.json?["type"] == "move", "\(answer.text)")
        return try #require(answer.json?["id"]?.stringValue)
    }

    private func finish(_ kit: ManagerKit, _ id: String) async throws {
        try await wait(kit, id, for: "guarding")
        try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/finish", .null))
        try await wait(kit, id, for: "over")
    }

    /// Parts of the ring, by shard.
    private func parts(_ kit: ManagerKit) async throws -> [String: Double] {
        let shards = try await kit.store.load().shards.values
        return Dictionary(uniqueKeysWithValues: shards.map { ($0.id.name, $0.vnodes.reduce(0) { $0 + Double($1.range.width) } / Double(TokenRange.whole.width)) })
    }

    @Test func aShardIsFilledThenEmptiedAndCanGo() async throws {
        try await run { kit in
            let plan = try await kit.server.get("/api/v1/reshard/plan?type=add-shard&target=s3")
            let moves = plan.json?["moves"]?.arrayValue ?? []
            #expect(moves.map { $0["source_shard"] } == ["s1", "s2"] && moves.allSatisfy { $0["target_shard"] == "s3" }, "\(plan.text)")
            #expect(plan.json?["retiring"] == [] && plan.json?["conflict"] == nil)
            let added = try await begin(kit, "add-shard", "s3")
            try await finish(kit, added)
            for (shard, part) in try await parts(kit) { #expect(abs(part - 1.0 / 3) < 0.01, "\(shard) has \(part)") }
            let empty = try await kit.server.get("/api/v1/reshard/plan?type=drain-shard&source=s3")
            #expect(empty.json?["retiring"] == ["s3"] && empty.json?["moves"]?.arrayValue?.count == 2, "\(empty.text)")
            try await finish(kit, try await begin(kit, "drain-shard", "s3"))
            let left = try await parts(kit)
            #expect(left["s3"] == 0 && abs((left["s1"] ?? 0) - 0.5) < 0.01)
            kit.servers["h3/d"].inspection.tables = [QualifiedName(schema: "public", name: "t")]
            try kit.expect(204, await kit.server.delete("/api/v1/shards/s3"))
        }
    }

    @Test func whatCannotBeIsRefused() async throws {
        try await run { kit in
            let before = try await kit.store.load()
            let refused: [(String, JSONValue, APIErrorCode)] = [
                ("add-shard", ["shard_id": "no"], .shardNotFound), ("drain-shard", ["shard_id": "no"], .shardNotFound),
                ("add-shard", ["shard_id": "s1"], .reshardRefused), ("drain-shard", ["shard_id": "s3"], .reshardRefused),
                ("add-shard", [:], .invalidRequest), ("drain-shard", ["shard_id": 1], .invalidRequest),
            ]
            for (path, body, code) in refused {
                let answer = try await kit.server.post("/api/v1/reshard/\(path)", body)
                #expect(answer.error?.code == code, "\(path) \(answer.text)")
            }
            for query in ["type=add-shard", "type=drain-shard&target=s1", "type=merge&target=s1", "type=add-shard&target=s1,s2"] {
                #expect(try await kit.server.get("/api/v1/reshard/plan?\(query)").status == 400, "\(query)")
            }
            #expect(try await kit.store.load() == before)
        }
    }

    /// The only one that owns anything.
    @Test func aLoneShardIsNotEmptied() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            try kit.expect(201, await kit.declare("t", "sharded", key: "id"))
            let error = try #require(try await kit.server.post("/api/v1/reshard/drain-shard", ["shard_id": "s1"]).error)
            #expect(error.code == .reshardRefused && error.message.contains("no other active shard"), "\(error.message)")
        }
    }

    /// Until the first is over: also behind its switch, when its vnodes can still go back.
    @Test func aShardIsOfOneSuchJobAtATime() async throws {
        try await run { kit in
            let added = try await begin(kit, "add-shard", "s3")
            try await wait(kit, added, for: "guarding")
            for (path, shard) in [("add-shard", "s3"), ("drain-shard", "s3"), ("drain-shard", "s1"), ("add-shard", "s2")] {
                let error = try #require(try await kit.server.post("/api/v1/reshard/\(path)", ["shard_id": .string(shard)]).error)
                #expect(error.code == .jobConflict && error.details?["job"] == .string(added), "\(path) \(shard): \(error.message)")
            }
            #expect(try await kit.server.get("/api/v1/reshard/plan?type=drain-shard&source=s3").status == 409)
            try await finish(kit, added)
            _ = try await begin(kit, "drain-shard", "s3")
        }
    }

    @Test func aRepeatedRequestBeginsNoSecondJob() async throws {
        try await run { kit in
            let key = [("Idempotency-Key", "once")]
            let first = try await kit.server.post("/api/v1/reshard/add-shard", ["shard_id": "s3"], headers: key)
            let again = try await kit.server.post("/api/v1/reshard/add-shard", ["shard_id": "s3"], headers: key)
            #expect(first.status == 202 && again.status == 202 && again.json?["id"] == first.json?["id"])
            #expect(try await kit.store.load().jobs.count == 1)
        }
    }

    /// s1 has most of its rows at the low end; they are moved by what they weigh, and the time is that of the job before.
    @Test func aPlanIsMadeOfWhatWasSampled() async throws {
        try await run { kit in
            let owned = try #require(try await kit.store.load().shards[ShardID("s1")]?.vnodes)
            let low = try #require(owned.first).range
            let rows = (1...1000).map { RowSamples.Row(token: Token(low.start + UInt64(low.width / 1001) * UInt64($0)), rows: 10, bytes: 1000) }
            kit.servers["h1/d"].samples = RowSamples(rows, fileBytes: 3_000_000)
            let unknown = try #require(try await kit.server.get("/api/v1/reshard/plan?type=split&source=s1&target=s3").json)
            #expect(unknown["sampled_rows"] == 1000 && unknown["seconds_estimate"] == nil)
            let move = try #require(unknown["moves"]?.arrayValue?.first)
            let (moved, bytes) = (try #require(move["row_estimate"]?.integerValue), try #require(move["byte_estimate"]?.integerValue))
            #expect(abs(moved - 5000) < 200 && bytes == moved * 100 && move["vnodes"] == 4 && unknown["cuts"] == 1)

            var record = JobRecord(id: JobID("old"), kind: .move, database: "app", moves: [])
            (record.step, record.version) = (.over(.completed), 1)
            var job = StoredJob(record, createdAt: 1, updatedAt: 1)
            (job.facts.copySeconds, job.facts.copied) = (2, StoredJob.Copied(rows: 1, rowsEstimated: 1, bytes: 1_000_000, bytesAll: 1_000_000))
            let before = try await kit.store.load()
            _ = try await kit.store.commit(CatalogChange([.putJob(job.stored)], author: "test"), expecting: before.epoch)
            let known = try #require(try await kit.server.get("/api/v1/reshard/plan?type=split&source=s1&target=s3").json)
            #expect(known["seconds_estimate"] == 6)

            // s2 cannot be sampled: a fair share is by tokens.
            let even = try #require(try await kit.server.get("/api/v1/reshard/plan?type=add-shard&target=s3").json)
            #expect(even["sampled_rows"] == nil && even["moves"]?.arrayValue?.count == 2)
            kit.servers["h2/d"].samples = RowSamples()
            let fair = try #require(try await kit.server.get("/api/v1/reshard/plan?type=add-shard&target=s3").json)
            #expect(fair["moves"]?.arrayValue?.map { $0["source_shard"] } == ["s1"])
            // The job is made of the same.
            let id = try await begin(kit, "add-shard", "s3")
            let begun = try #require(try await kit.store.load().jobs[id].flatMap { StoredJob($0) })
            let ranges = begun.record.moves.map(\.vnode.range)
            let part = rows.count { row in ranges.contains { $0.contains(row.token) } }
            #expect(abs(part - 333) < 30 && begun.record.sources == [ShardID("s1")])
        }
    }
}
