import CatalogStore
import ControlAPI
import LogicalReplication
import ManagerService
import RESTTestKit
import ReshardCore
import ShardModel
import Testing

/// Jobs over HTTP; what servers do is scripted.
@Suite struct ReshardRouteTests {
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

    private func job(_ kit: ManagerKit, _ id: String, is status: String, step: String? = nil) async throws -> JSONValue {
        let deadline = ContinuousClock.now + .seconds(600)
        var last: JSONValue?
        repeat {
            last = try await kit.server.get("/api/v1/reshard/jobs/\(id)").json
            if let last, last["status"]?.stringValue == status, step == nil || last["step"]?.stringValue == step { return last }
            try await Task.sleep(for: .milliseconds(20))
        } while deadline > .now
        throw RawHTTPError(description: "the job is not \(status) \(step ?? "") in time: \(last.map { "\($0)" } ?? "")")
    }

    private static let split: JSONValue = ["source_shard_id": "s1", "target_shards": ["s3"]]

    @Test func aSplitIsAcceptedCarriedOutAndFinished() async throws {
        try await run { kit in
            let begun = try await kit.server.post("/api/v1/reshard/split", Self.split)
            #expect(begun.status == 202 && begun.json?["status"] == "pending" && begun.json?["type"] == "split" && begun.json?["vnodes"] == 2, "\(begun.text)")
            let id = try #require(begun.json?["id"]?.stringValue)
            let guarded = try await job(kit, id, is: "completed", step: "guarding")
            #expect(guarded["has_way_back"] == true && guarded["progress"] == 1 && guarded["pause_ms"] != nil && guarded["switched_at"] == "2023-11-14T22:13:20.000Z")
            #expect(guarded["completed_at"] == nil)
            let shard = try #require(try await kit.server.get("/api/v1/shards/s3").json)
            #expect(shard["status"] == "active" && shard["vnodes"]?.arrayValue?.count == 2)
            let late = try #require(try await kit.server.post("/api/v1/reshard/jobs/\(id)/cancel", .null).error)
            #expect(late.code == .jobState && late.details?["step"] == "guarding")
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/finish", .null))
            let over = try await job(kit, id, is: "completed", step: "over")
            #expect(over["completed_at"] != nil)
            // Again: it is as it was asked for.
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/finish", .null))
            #expect(try await kit.server.post("/api/v1/reshard/jobs/\(id)/reverse", .null).error?.code == .jobState)
            #expect(try await kit.server.post("/api/v1/reshard/jobs/\(id)/resume", .null).error?.code == .jobState)
            try kit.expect(204, await kit.server.delete("/api/v1/databases/app/tables/t"))
        }
    }

    @Test func aJobIsToldWhetherToEndTransactions() async throws {
        try await run { kit in
            for (told, body) in [(nil, Self.split), (true, ["source_shard_id": "s1", "target_shards": ["s3"], "end_transactions": true])] as [(Bool?, JSONValue)] {
                let begun = try #require(try await kit.server.post("/api/v1/reshard/split", body).json)
                #expect(begun["end_transactions"] == told.map { .bool($0) })
                let id = try #require(begun["id"]?.stringValue)
                let guarded = try await job(kit, id, is: "completed", step: "guarding")
                #expect(guarded["end_transactions"] == told.map { .bool($0) })
                try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/reverse", .null))
                _ = try await job(kit, id, is: "cancelled", step: "over")
            }
            let wrong: JSONValue = ["source_shard_id": "s1", "target_shards": ["s3"], "end_transactions": "yes"]
            #expect(try await kit.server.post("/api/v1/reshard/split", wrong).status == 400)
        }
    }

    @Test func severalTargetsLeaveTheSourceWithNothingAndItCanGo() async throws {
        try await run { kit in
            kit.servers["h4/d"] = .init()
            try kit.expect(201, await kit.addShard("s4", on: "h4/d"))
            let begun = try await kit.server.post("/api/v1/reshard/split", ["source_shard_id": "s2", "target_shards": ["s3", "s4"]])
            let id = try #require(begun.json?["id"]?.stringValue)
            #expect(try await kit.server.delete("/api/v1/shards/s2").error?.details?["job"] == .string(id))
            _ = try await job(kit, id, is: "completed", step: "guarding")
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/finish", .null))
            _ = try await job(kit, id, is: "completed", step: "over")
            kit.servers["h2/d"].inspection.tables = [QualifiedName(schema: "public", name: "t")]
            try kit.expect(204, await kit.server.delete("/api/v1/shards/s2"))
            let catalog = try await kit.store.load()
            let topology = try Topology(database: "app", in: catalog)
            #expect(topology.shards.map(\.id.name) == ["s1", "s3", "s4"])
        }
    }

    @Test func mergeAndMoveAreJobsOfTheirKind() async throws {
        try await run { kit in
            let move = try await kit.server.post("/api/v1/reshard/move", ["vnodes": [5, 6], "source": "s1", "target": "s2"])
            #expect(move.status == 202 && move.json?["type"] == "move" && move.json?["vnodes"] == 2, "\(move.text)")
            let id = try #require(move.json?["id"]?.stringValue)
            // The vnodes that move are another job's.
            let error = try #require(try await kit.server.post("/api/v1/reshard/merge", ["source_shard_ids": ["s1"], "target_shard": "s3"]).error)
            #expect(error.code == .jobConflict && error.details?["job"] == .string(id))
            _ = try await job(kit, id, is: "completed", step: "guarding")
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/finish", .null))
            _ = try await job(kit, id, is: "completed", step: "over")
            let merge = try await kit.server.post("/api/v1/reshard/merge", ["source_shard_ids": ["s1"], "target_shard": "s2"])
            #expect(merge.status == 202 && merge.json?["vnodes"] == 2)
            let list = try await kit.server.get("/api/v1/reshard/jobs?database=app&limit=1")
            #expect(list.json?["items"]?.arrayValue?.count == 1 && list.json?["next_cursor"] != nil)
            #expect(try await kit.server.get("/api/v1/reshard/jobs").json?["items"]?.arrayValue?.count == 2)
        }
    }

    @Test func aVNodeIsCutInTheChangeThatBeginsTheJob() async throws {
        try await run { kit in
            let before = try await kit.store.load()
            let last = try #require(before.shards[ShardID("s1")]?.vnodes.last)
            let point = String(last.range.end - 5)
            let begun = try await kit.server.post(
                "/api/v1/reshard/split", ["source_shard_id": "s1", "target_shards": ["s2"], "split_point": .string(point)])
            #expect(begun.status == 202 && begun.json?["vnodes"] == 1, "\(begun.text)")
            let change = try #require(try await kit.store.history(limit: 100).last { $0.epoch == before.epoch.next }?.change)
            #expect(change.operations.count == 2)
            #expect(try await kit.store.load().shards.values.flatMap(\.vnodes).count == 9)
        }
    }

    @Test func whatCannotBeMovedIsRefused() async throws {
        try await run { kit in
            let refused: [(String, JSONValue, APIErrorCode)] = [
                ("split", ["source_shard_id": "no", "target_shards": ["s3"]], .shardNotFound),
                ("split", ["source_shard_id": "s3", "target_shards": ["s1"]], .reshardRefused),
                ("split", ["source_shard_id": "s1", "target_shards": []], .reshardRefused),
                ("split", ["source_shard_id": "s1", "target_shards": ["s2"], "split_point": "x"], .invalidRequest),
                ("split", ["source_shard_id": "s1"], .invalidRequest),
                ("merge", ["source_shard_ids": ["s1"], "target_shard": "s1"], .reshardRefused),
                ("move", ["vnodes": [999], "source": "s1", "target": "s2"], .reshardRefused),
                ("move", ["vnodes": [-1], "source": "s1", "target": "s2"], .invalidRequest),
            ]
            let before = try await kit.store.load()
            for (path, body, code) in refused {
                let answer = try await kit.server.post("/api/v1/reshard/\(path)", body)
                #expect(answer.error?.code == code, "\(path) \(answer.text)")
            }
            #expect(try await kit.server.get("/api/v1/reshard/jobs/nope").error?.code == .jobNotFound)
            #expect(try await kit.server.post("/api/v1/reshard/jobs/nope/cancel", .null).error?.code == .jobNotFound)
            #expect(try await kit.server.get("/api/v1/reshard/jobs?database=nope").error?.code == .databaseNotFound)
            #expect(try await kit.store.load() == before)
        }
    }

    @Test func aShardThatJoinsIsOfOneJobAtATime() async throws {
        try await run { kit in
            kit.work.add([.hangs], to: .check)
            let first = try await kit.server.post("/api/v1/reshard/split", Self.split)
            let second = try #require(try await kit.server.post("/api/v1/reshard/split", ["source_shard_id": "s2", "target_shards": ["s3"]]).error)
            #expect(second.code == .jobConflict && second.details?["job"] == first.json?["id"])
        }
    }

    @Test func aRepeatedRequestBeginsNoSecondJob() async throws {
        try await run { kit in
            let key = [("Idempotency-Key", "once")]
            let first = try await kit.server.post("/api/v1/reshard/split", Self.split, headers: key)
            let again = try await kit.server.post("/api/v1/reshard/split", Self.split, headers: key)
            #expect(first.status == 202 && again.status == 202 && again.json?["id"] == first.json?["id"])
            #expect(try await kit.store.load().jobs.count == 1)
        }
    }

    @Test func aCancelledJobSaysSoAndResumeEndsAPause() async throws {
        try await run { kit in
            kit.work.add(Array(repeating: .outcome(.unavailable("the source is away")), count: 7) + [.hangs], to: .copy)
            let id = try #require(try await kit.server.post("/api/v1/reshard/split", Self.split).json?["id"]?.stringValue)
            let deadline = ContinuousClock.now + .seconds(600)
            while kit.work.calls.count(where: { $0 == .copy }) < 8, deadline > .now {
                try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/resume", .null))
            }
            let copying = try await job(kit, id, is: "precopy")
            #expect(copying["error_message"] == "the source is away" && copying["retries"] == 7)
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/cancel", .null))
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/cancel", .null))
            _ = try await job(kit, id, is: "cancelled", step: "over")
        }
    }

    @Test func progressIsWhatTheWorkSays() async throws {
        try await run { kit in
            kit.work.add([.hangs], to: .copy)
            var progress = JobProgress()
            var table = JobProgress.Table(name: QualifiedName(schema: "public", name: "t"), rowsEstimated: 1000)
            (table.rowsCopied, table.bytesCopied) = (500, 4000)
            var stream = JobProgress.Stream(from: ShardID("s1"))
            (stream.state, stream.lagBytes) = (.streaming, 77)
            (progress.tables, progress.streams) = ([table], [stream])
            (progress.bytesRead, progress.bytesAll, progress.rowsCopied, progress.rowsEstimated) = (5000, 10_000, 500, 1000)
            kit.work.progress = progress
            let id = try #require(try await kit.server.post("/api/v1/reshard/split", Self.split).json?["id"]?.stringValue)
            let shown = try await job(kit, id, is: "precopy")
            #expect(shown["progress"] == .number("0.45") && shown["keys_migrated"] == 500 && shown["total_keys"] == 1000 && shown["lag_bytes"] == 77)
            #expect(shown["tables"] == [["bytes_copied": 4000, "name": "public.t", "rows_copied": 500, "total_rows": 1000]])
            #expect(shown["streams"]?.arrayValue?.first?["state"] == "streaming")
            // What was copied is told of a job that is over as well.
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/cancel", .null))
            _ = try await job(kit, id, is: "cancelled", step: "over")
            kit.work.progress = nil
            let over = try await job(kit, id, is: "cancelled", step: "over")
            #expect(over["keys_migrated"] == 500 && over["bytes_copied"] == 5000 && over["tables"] == [])
        }
    }

    @Test func aPlanSaysWhatWouldMoveAndChangesNothing() async throws {
        try await run { kit in
            let before = try await kit.store.load()
            let plan = try await kit.server.get("/api/v1/reshard/plan?type=split&source=s1&target=s3")
            #expect(plan.status == 200 && plan.json?["cuts"] == 0 && plan.json?["retiring"] == [] && plan.json?["conflict"] == nil, "\(plan.text)")
            let move = try #require(plan.json?["moves"]?.arrayValue?.first)
            #expect(move["vnodes"] == 2 && move["share_of_source"] == .number("0.5") && move["share_of_ring"] == .number("0.25") && move["row_estimate"] == 0)
            let merge = try await kit.server.get("/api/v1/reshard/plan?type=merge&source=s1,s2&target=s3")
            #expect(merge.json?["moves"]?.arrayValue?.count == 2 && merge.json?["retiring"] == ["s1", "s2"])
            kit.servers["h1/d"].failure = .unreachable("gone")
            let away = try await kit.server.get("/api/v1/reshard/plan?type=move&source=s1&target=s2&vnodes=5")
            #expect(away.status == 200 && away.json?["moves"]?.arrayValue?.first?["row_estimate"] == nil, "\(away.text)")
            for query in ["", "?type=split", "?type=x&source=s1&target=s2", "?type=move&source=s1&target=s2&vnodes=a", "?type=move&source=s1,s2&target=s3&vnodes=1"] {
                #expect(try await kit.server.get("/api/v1/reshard/plan\(query)").status == 400, "\(query)")
            }
            #expect(try await kit.server.get("/api/v1/reshard/plan?type=split&source=s1&target=s1").error?.code == .reshardRefused)
            #expect(try await kit.store.load() == before)
        }
    }

    @Test func jobsThatAreOverAreForgottenBehindAHundred() async throws {
        try await run { kit in
            var operations: [CatalogChange.Operation] = []
            for number in 0..<120 {
                var record = JobRecord(id: JobID("old\(number)"), kind: .move, database: "app", moves: [])
                (record.step, record.version) = (.over(.completed), 1)
                operations.append(.putJob(StoredJob(record, createdAt: Double(number), updatedAt: 1).stored))
            }
            let before = try await kit.store.load()
            _ = try await kit.store.commit(CatalogChange(operations, author: "test"), expecting: before.epoch)
            try kit.expect(202, await kit.server.post("/api/v1/reshard/split", Self.split))
            let left = Set(try await kit.store.load().jobs.keys)
            #expect(left.count == 100 && left.contains("old119") && !left.contains("old20"))
        }
    }
}
