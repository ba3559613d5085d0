import CatalogStore
import ControlAPI
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

    @Test func anIdempotentWriteIsDoneOnceWhateverItsRepeats() async throws {
        try await ManagerKit.run { kit in
            let key = [("Idempotency-Key", "make-app")]
            let first = try await kit.server.post("/api/v1/databases", ["name": "app"], headers: key)
            let second = try await kit.server.post("/api/v1/databases", ["name": "app"], headers: key)
            #expect(first.status == 201 && second.status == 201 && first.body == second.body)
            #expect(try await kit.store.load().epoch == Epoch(1))
        }
    }
}
