import ManagerService
import NIOPosix
import PostgresProcess
import ShardModel
import Testing

/// What a leader does on a server when it comes late: another one has led meanwhile.
@Suite(.postgresServer()) struct ShardClaimTests {
    private let identity = ShardIdentity(clusterID: "c", database: "app", shard: ShardID("s"))
    private let inspector = PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(20))

    @Test func aMarkOfAnotherRegistrationIsNeitherTakenAwayNorTakenOver() async throws {
        let server = try #require(PostgresServerTrait.server)
        try await server.createDatabase("claimed")
        let endpoint = server.dsn(database: "claimed")
        try await inspector.claim(endpoint, as: identity, by: "first", over: nil)
        // The next leader removes the shard, and registers it again.
        try await inspector.release(endpoint, from: identity, claimed: "first")
        try await inspector.claim(endpoint, as: identity, by: "second", over: nil)
        // The first one resumes behind its own removal, and behind its look at the server.
        await #expect(throws: ShardAccessError.superseded) { try await inspector.release(endpoint, from: identity, claimed: "first") }
        await #expect(throws: ShardAccessError.superseded) { try await inspector.claim(endpoint, as: identity, by: "late", over: "first") }
        await #expect(throws: ShardAccessError.superseded) { try await inspector.claim(endpoint, as: identity, by: "late", over: nil) }
        var inspection = try await inspector.inspect(endpoint)
        #expect(inspection.identity == identity && inspection.claim == "second")
        // Whoever saw how it is may go on.
        try await inspector.claim(endpoint, as: identity, by: "third", over: "second")
        try await inspector.release(endpoint, from: identity, claimed: "third")
        inspection = try await inspector.inspect(endpoint)
        #expect(inspection.identity == nil && inspection.claim == nil)
        try await inspector.release(endpoint, from: identity, claimed: "third")
    }

    @Test func aShardThatWasMarkedBeforeThereWereClaimsIsClaimedAndReleased() async throws {
        let server = try #require(PostgresServerTrait.server)
        try await server.createDatabase("older")
        let endpoint = server.dsn(database: "older")
        for round in 0..<2 {
            try await inspector.claim(endpoint, as: identity, by: "first", over: nil)
            try await server.psql("ALTER TABLE pgmosaic.identity DROP COLUMN claim", database: "older")
            let inspection = try await inspector.inspect(endpoint)
            #expect(inspection.identity == identity && inspection.claim == nil)
            if round == 0 {
                try await inspector.release(endpoint, from: identity, claimed: nil)
            } else {
                try await inspector.claim(endpoint, as: identity, by: "next", over: nil)
                #expect(try await inspector.inspect(endpoint).claim == "next")
            }
        }
    }
}
