import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// A cluster through which jobs go while its parts are killed: s2 is split to s3, and merged back.
struct StruckCluster: Sendable {
    let cluster: ReshardCluster
    let load: StruckLoad

    private static let third = ShardID("s3")
    private var points: JobPoints { cluster.manager.points }

    /// Whether s3 has a part of the ring.
    private func isSplit() async throws -> Bool { try await cluster.catalog().shards[Self.third]?.vnodes.isEmpty == false }

    /// The next job, with its strikes, and all that must hold afterwards.
    func run(_ course: StrikeCourse) async throws {
        points.releaseAll()
        if try await cluster.catalog().shards[Self.third] == nil { try await cluster.addThird() }
        let isMerge = try await isSplit()
        print("\(isMerge ? "merge" : "split"): \(course)")
        let began = ContinuousClock.now
        let job: String = try await load.run {
            try await Task.sleep(for: .milliseconds(200))
            return try await carryOut(course, isMerge: isMerge)
        }
        print("  \(load.summary), \(began.duration(to: .now))")
        try await check(job, course)
    }

    private func carryOut(_ course: StrikeCourse, isMerge: Bool) async throws -> String {
        if let first = course.way.first { try points.pause(at: first.point) }
        let job = try await isMerge
            ? cluster.begin("merge", ["source_shard_ids": ["s3"], "target_shard": "s2"])
            : cluster.begin("split", ["source_shard_id": "s2", "target_shards": ["s3"]])
        let victims = isMerge ? (source: 2, target: 1) : (source: 1, target: 2)
        for (index, strike) in course.way.enumerated() {
            try await reach(strike.point, job, course, isEnding: false)
            let next = index + 1 < course.way.count ? course.way[index + 1].point : course.cancelAt ?? (course.end.step == "guarding" ? course.end.point : nil)
            if let next { try points.pause(at: next) }
            try await hit(strike, victims)
        }
        if let point = course.cancelAt { try await reach(point, job, course, isEnding: false) }
        if course.end.step == "guarding" {
            try await reach(course.end.point, job, course, isEnding: false)
            try await hit(course.end, victims)
            try await awaitEnd(of: job, course)
            return job
        }
        // Or the manager would stop there on the way to the switch.
        if course.ending != .cancel { try await awaitGuarding(job) }
        let ending = StrikeCourse.led(to: course.end)
        for (index, strike) in ending.enumerated() {
            try points.pause(at: strike.point)
            if index == 0 {
                try await ask(course.ending, of: job)
                if let point = course.cancelAt { points.release(point) }
            } else {
                try await hit(ending[index - 1], victims)
            }
            try await reach(strike.point, job, course, isEnding: true)
        }
        if let last = ending.last { try await hit(last, victims) }
        try await awaitEnd(of: job, course)
        return job
    }

    // MARK: the way

    private func reach(_ point: String, _ job: String, _ course: StrikeCourse, isEnding: Bool) async throws {
        do {
            try await eventually("job \(job) comes to \(point)", within: .seconds(180)) {
                if points.isReached(point) { return true }
                let now = try await cluster.step(of: job)
                if now == "over" { throw ReshardCluster.JobFailed(text: try await cluster.job(job).text) }
                // An attempt of the way back that was given up is asked for again.
                if isEnding, course.ending == .reverse, now == "guarding" { try await ask(.reverse, of: job) }
                return false
            }
        } catch {
            print((try? await cluster.job(job).text) ?? "", "\n", cluster.manager.log.suffix(6000))
            throw error
        }
    }

    private func awaitGuarding(_ job: String) async throws {
        do {
            try await eventually("job \(job) has switched", within: .seconds(180)) { try await cluster.step(of: job) == "guarding" }
        } catch {
            print((try? await cluster.job(job).text) ?? "", "\n", cluster.manager.log.suffix(6000))
            throw error
        }
    }

    private func awaitEnd(of job: String, _ course: StrikeCourse) async throws {
        do {
            try await eventually("job \(job) is over", within: .seconds(180)) {
                let now = try await cluster.step(of: job)
                if now == "guarding" { try await ask(course.ending, of: job) }
                return now == "over"
            }
        } catch {
            print((try? await cluster.job(job).text) ?? "", "\n", cluster.manager.log.suffix(6000))
            throw error
        }
    }

    /// Asked until it is written down: before the switch, only a cancel can be; and a manager that has just begun to lead has no runner yet.
    private func ask(_ ending: StrikeCourse.Ending, of job: String) async throws {
        try await eventually("\(ending) of \(job) is accepted", within: .seconds(180)) {
            let now = try await cluster.step(of: job)
            if now == "cleaning" || now == "over" { return true }
            guard ending == .cancel || now == "guarding" else { return false }
            let answer = try await cluster.manager.send("POST", "/api/v1/reshard/jobs/\(job)/\(ending.rawValue)")
            if answer.status >= 300 { throw ReshardCluster.JobFailed(text: answer.text) }
            return true
        }
    }

    /// Kills, lets the manager go on, and starts again what was killed.
    private func hit(_ strike: Strike, _ victims: (source: Int, target: Int)) async throws {
        if strike.gap == .during {
            points.release(strike.point)
            try await Task.sleep(for: .milliseconds([0, 1, 3, 10, 30, 100].randomElement() ?? 0))
        }
        switch strike.victim {
        case .manager:
            await cluster.manager.kill()
            points.release(strike.point)
            try await cluster.manager.start()
        case .router:
            let router = cluster.routers.randomElement() ?? cluster.routers[0]
            await router.kill()
            points.release(strike.point)
            try await router.start()
        case .source, .target:
            let server = cluster.servers[strike.victim == .source ? victims.source : victims.target]
            await server.kill()
            points.release(strike.point)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...1500)))
            try await server.start()
        }
    }

    // MARK: what must hold

    private func check(_ job: String, _ course: StrikeCourse) async throws {
        let catalog = try await cluster.catalog()
        let status = try await cluster.job(job)
        #expect(status.status == (course.ending == .finish ? "completed" : "cancelled"), "\(course): \(status.text)")
        #expect(catalog.holds.isEmpty, "\(course)")
        let members = cluster.servers.indices.filter { catalog.shards[TestCluster.id(of: $0)]?.vnodes.isEmpty == false || $0 < 2 || isMember(catalog) }
        try await eventually("no transaction is left, after \(course)") {
            for index in members {
                let left = try await cluster.on(index, "SELECT (SELECT count(*) FROM pg_prepared_xacts) + (SELECT count(*) FROM pgmosaic.decisions)")
                guard left == "0" else { return false }
            }
            return true
        }
        let (owned, elsewhere) = try await cluster.rows()
        #expect(elsewhere == 0, "\(course)")
        var copies: [[Int64]] = []
        for index in members { copies.append(try await cluster.on(index, "SELECT id FROM ref").split(separator: "\n").compactMap { Int64($0) }) }
        let wrong = load.wrong(owned, copies: copies)
        #expect(wrong == [], "\(course)")
        #expect(try await cluster.leftovers() == [], "\(course)")
        for index in cluster.servers.indices {
            #expect(try await cluster.positions(index) == 0, "\(course)")
            if !members.contains(index) {
                #expect(try await cluster.on(index, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0", "\(course)")
            }
        }
        #expect(load.done > 20, "\(course)")
        if !wrong.isEmpty { print(cluster.manager.log.suffix(20_000)) }
    }

    private func isMember(_ catalog: CatalogSnapshot) -> Bool { catalog.shards[Self.third]?.isJoining == false }

    /// So that the next split finds a shard that joins.
    func removeThird() async throws {
        try await eventually("the shard is removed") {
            guard let third = try await cluster.catalog().shards[Self.third] else { return true }
            if !third.vnodes.isEmpty { return true }
            return try await cluster.manager.send("DELETE", "/api/v1/shards/s3?version=\(third.version)").status == 204
        }
        guard try await cluster.catalog().shards[Self.third] == nil else { return }
        _ = try await cluster.servers[2].psql("DROP DATABASE \(TestCluster.database) WITH (FORCE)")
        try await cluster.servers[2].createDatabase(TestCluster.database)
    }
}

extension ReshardCluster {
    func step(of job: String) async throws -> String { Self.field("step", of: try await manager.send("GET", "/api/v1/reshard/jobs/\(job)")) ?? "" }

    /// How many positions of streams a shard has stored.
    func positions(_ index: Int) async throws -> Int {
        guard try await on(index, "SELECT to_regclass('pgmosaic.move_positions') IS NOT NULL") == "t" else { return 0 }
        return Int(try await on(index, "SELECT count(*) FROM pgmosaic.move_positions")) ?? -1
    }
}
