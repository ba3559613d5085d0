import CatalogStore
import ControlAPI
import ManagerService
import RESTTestKit
import ShardModel
import Synchronization
import Testing

/// What the catalog store's own errors become for a client.
@Suite struct CatalogFailureTests {
    @Test func writersAtOnceNeverOverwriteEachOther() async throws {
        try await ManagerKit.run { kit in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<20 { group.addTask { try await kit.server.post("/api/v1/databases", ["name": .string("db\(number % 10)")]).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            let catalog = try await kit.store.load()
            #expect(catalog.databases.count == statuses.count { $0 == 201 })
            #expect(catalog.epoch.number == UInt64(catalog.databases.count))
            #expect(statuses.allSatisfy { [201, 409].contains($0) })
        }
    }

    /// Its servers may be slow, or hang: others do not wait for that.
    @Test func aChangeThatLooksAtServersHoldsUpNobodyAndLooksAgainWhenTheyAreOthersByThen() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            let looks = Mutex(0)
            let statuses = Mutex<[Int]>([])
            kit.servers.whileAsked.withLock {
                $0 = {
                    let look = looks.withLock { looks in
                        looks += 1
                        return looks
                    }
                    let answer = switch look {
                    case 1: try? await kit.server.put("/api/v1/shards/s1/status", ["status": "readonly", "version": 1])
                    case 2: try? await kit.server.post("/api/v1/databases", ["name": "other"])
                    default: HTTPAnswer?.none
                    }
                    statuses.withLock { $0.append(answer?.status ?? 0) }
                }
            }
            #expect(try await kit.declare("t", "sharded", key: "id").status == 201)
            // Behind the second look something else had changed, which the look did not depend on.
            #expect(statuses.withLock(\.self) == [200, 201])
        }
    }

    @Test func anIdempotentWriteIsDoneOnceWhateverItsRepeats() async throws {
        try await ManagerKit.run { kit in
            let key = [("Idempotency-Key", "make-app")]
            let first = try await kit.server.post("/api/v1/databases", ["name": "app"], headers: key)
            let second = try await kit.server.post("/api/v1/databases", ["name": "app"], headers: key)
            #expect(first.status == 201 && second.status == 201 && first.body == second.body)
            #expect(try await kit.store.load().epoch == Epoch(1))
        }
    }

    @Test func aStoreThatIsAwayIsSaidSoWithWhenToComeAgain() async throws {
        let faults = Faults()
        try await ManagerKit.run(faults: faults) { kit in
            try await kit.makeDatabase()
            faults.load = .unavailable("no answer")
            for path in ["/api/v1/databases", "/api/v1/shards", "/api/v1/catalog", "/api/v1/users", "/api/v1/routers"] {
                let answer = try await kit.server.get(path)
                #expect(answer.error?.code == .catalogUnavailable && answer.headers["retry-after"] == "1", "\(path)")
            }
            let ready = try await kit.server.get("/ready")
            #expect(ready.status == 503 && ready.json?["catalog_connected"] == false)
            #expect(try await kit.server.get("/health").status == 200)
        }
    }

    @Test func anUnknownOutcomeIsReportedAsUnknownAndTheMarkOfAShardStays() async throws {
        let faults = Faults()
        try await ManagerKit.run(faults: faults) { kit in
            try await kit.makeDatabase()
            kit.servers["h/d"] = .init()
            faults.commit = .unknownOutcome("lost")
            let key = [("Idempotency-Key", "k")]
            let body: JSONValue = ["id": "s", "database": "app", "primary_endpoint": "postgres://u@h/d"]
            #expect(try await kit.server.post("/api/v1/shards", body, headers: key).error?.code == .catalogUnknownOutcome)
            #expect(kit.servers["h/d"].inspection.identity != nil)
            // It was not kept as the key's answer, so the same request may be sent again.
            faults.commit = nil
            #expect(try await kit.server.post("/api/v1/shards", body, headers: key).status == 201)
        }
    }

    @Test(arguments: [CatalogError.unavailable("x"), .invalid("x")])
    func aRegistrationThatIsCertainlyNotStoredLeavesNoMark(_ error: CatalogError) async throws {
        let faults = Faults()
        try await ManagerKit.run(faults: faults) { kit in
            try await kit.makeDatabase()
            kit.servers["h/d"] = .init()
            faults.commit = error
            let answer = try await kit.addShard("s", on: "h/d")
            #expect(answer.status >= 500)
            #expect(kit.servers["h/d"].inspection.identity == nil)
        }
    }

    @Test func aWriterThatNeverWinsGivesUp() async throws {
        let faults = Faults()
        try await ManagerKit.run(faults: faults) { kit in
            faults.commit = .conflict(current: Epoch(9), detail: "")
            let key = [("Idempotency-Key", "k")]
            let answer = try await kit.server.post("/api/v1/databases", ["name": "app"], headers: key)
            #expect(answer.error?.code == .versionConflict && answer.error?.details?["epoch"] == 9)
            // Nothing was done, so the key does not stand for that answer.
            faults.commit = nil
            #expect(try await kit.server.post("/api/v1/databases", ["name": "app"], headers: key).status == 201)
        }
    }
}
