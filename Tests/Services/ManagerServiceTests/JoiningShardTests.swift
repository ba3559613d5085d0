import CatalogStore
import ControlAPI
import ManagerService
import RESTTestKit
import ShardModel
import Testing

/// A shard of a database that has tables gets no part of the ring: it waits for a job.
@Suite struct JoiningShardTests {
    /// A database with two shards and a table.
    private func run(_ body: @Sendable (ManagerKit) async throws -> Void) async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            try kit.expect(201, await kit.declare("t", "sharded", key: "id"))
            kit.servers["h3/d"] = .init()
            try await body(kit)
        }
    }

    @Test func itOwnsNothingAndNoOwnerChanges() async throws {
        try await run { kit in
            let before = try await kit.store.load()
            let answer = try await kit.addShard("s3", on: "h3/d")
            #expect(answer.status == 201 && answer.json?["status"] == "migrating" && answer.json?["vnodes"] == [])
            let catalog = try await kit.store.load()
            let joined = try #require(catalog.shards[ShardID("s3")])
            #expect(joined.isJoining && joined.slice == 2 && kit.servers["h3/d"].inspection.identity?.shard == joined.id)
            for id in ["s1", "s2"] { #expect(catalog.shards[ShardID(id)] == before.shards[ShardID(id)]) }
            #expect(try Topology(database: "app", in: catalog).shards.map(\.id.name) == ["s1", "s2"])
        }
    }

    @Test func tablesOfTheHomeShardThatNobodyDeclaredMakeItJoin() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            kit.servers["h1/d"].inspection.tables = [QualifiedName(schema: "public", name: "t")]
            kit.servers["h2/d"] = .init()
            #expect(try await kit.addShard("s2", on: "h2/d").json?["status"] == "migrating")
        }
    }

    @Test func itsOwnDatabaseIsEmptyAndOfTheSameCollation() async throws {
        try await run { kit in
            kit.servers["h3/d"].inspection.objects = ["function public.f"]
            let refused = try #require(try await kit.addShard("s3", on: "h3/d").error)
            #expect(refused.code == .schemaMismatch && refused.details?["objects"] == ["function public.f"])
            kit.servers["h3/d"] = .init()
            kit.servers["h3/d"].inspection.collation = "de_DE.UTF-8 de_DE.UTF-8"
            #expect(try await kit.addShard("s3", on: "h3/d").error?.code == .schemaMismatch)
            kit.servers["h3/d"] = .init()
            kit.servers["h3/d"].inspection.walLevel = "replica"
            #expect(try await kit.addShard("s3", on: "h3/d").error?.code == .shardUnsuitable)
            #expect(kit.servers["h3/d"].inspection.identity == nil)
            #expect(try await kit.store.load().shards.count == 2)
        }
    }

    @Test func theSchemaThatTheOthersHaveIsNoReasonAgainstIt() async throws {
        try await run { kit in
            kit.servers["h1/d"].inspection.schemaFingerprint = "with tables"
            let answer = try await kit.addShard("s3", on: "h3/d")
            #expect(answer.json?["status"] == "migrating")
        }
    }

    @Test func aTableIsDeclaredAndForgottenWithoutIt() async throws {
        try await run { kit in
            try kit.expect(201, await kit.addShard("s3", on: "h3/d"))
            let name = QualifiedName(schema: "public", name: "u")
            for host in ["h1/d", "h2/d"] { kit.servers[host].tables[name] = TableInspection(hasRows: false) }
            try kit.expect(201, await kit.declare("u", "sharded", key: "id"))
            for host in ["h1/d", "h2/d"] { kit.servers[host].tables = [:] }
            kit.servers["h3/d"].failure = .unreachable("gone")
            try kit.expect(204, await kit.server.delete("/api/v1/databases/app/tables/u"))
        }
    }

    @Test func itGoesAsItCame() async throws {
        try await run { kit in
            try kit.expect(201, await kit.addShard("s3", on: "h3/d"))
            // What a job that was cancelled has left.
            kit.servers["h3/d"].inspection.tables = [QualifiedName(schema: "public", name: "t")]
            kit.servers["h1/d"].inspection.inDoubt = 1
            #expect(try await kit.server.delete("/api/v1/shards/s3").error?.code == .shardOwnsData)
            kit.servers["h1/d"].inspection.inDoubt = 0
            let before = try await kit.store.load()
            try kit.expect(204, await kit.server.delete("/api/v1/shards/s3"))
            let catalog = try await kit.store.load()
            #expect(catalog.shards[ShardID("s1")] == before.shards[ShardID("s1")] && catalog.shards.count == 2)
            #expect(kit.servers["h3/d"].inspection.identity == nil)
        }
    }

    @Test func aShardThatGaveAllAwayCanGoButNotTheHomeShard() async throws {
        try await run { kit in
            for (from, to, status) in [("s2", "s1", 204), ("s1", "s2", 409)] {
                let catalog = try await kit.store.load()
                guard var source = catalog.shards[ShardID(from)], var target = catalog.shards[ShardID(to)] else { continue }
                target.vnodes += source.vnodes
                source.vnodes = []
                _ = try await kit.store.commit(CatalogChange([.putShard(source), .putShard(target)], author: "test"), expecting: catalog.epoch)
                kit.servers["h2/d"].inspection.tables = [QualifiedName(schema: "public", name: "t")]
                let answer = try await kit.server.delete("/api/v1/shards/\(from)")
                #expect(answer.status == status, "\(answer.text)")
                if status == 204 { try kit.expect(201, await kit.addShard("s2", on: "h2/d")) }
            }
        }
    }

    @Test func anUnfinishedJobKeepsItsShardsTheRingAndTheTables() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 3)
            let job = ReshardJobRecord(id: "j1", database: "app", shards: [ShardID("s1"), ShardID("s2")], body: "{}")
            var catalog = try await kit.store.load()
            catalog = try await kit.store.commit(CatalogChange([.putJob(job)], author: "test"), expecting: catalog.epoch)
            for id in ["s1", "s3"] {
                let error = try #require(try await kit.server.delete("/api/v1/shards/\(id)").error)
                #expect(error.code == .jobConflict && error.details?["job"] == "j1")
            }
            #expect(try await kit.declare("t", "sharded", key: "id").error?.code == .jobConflict)
            kit.servers["h4/d"] = .init()
            // Without a table: but the job's vnodes stay what they are.
            #expect(try await kit.addShard("s4", on: "h4/d").json?["status"] == "migrating")
            catalog = try await kit.store.load()
            var over = try #require(catalog.jobs["j1"])
            over.isOver = true
            _ = try await kit.store.commit(CatalogChange([.putJob(over)], author: "test"), expecting: catalog.epoch)
            try kit.expect(204, await kit.server.delete("/api/v1/shards/s3"))
            catalog = try await kit.store.load()
            #expect(catalog.shards[ShardID("s4")]?.isJoining == true)
            #expect(throws: Never.self) { try catalog.checkInvariants() }
        }
    }
}
