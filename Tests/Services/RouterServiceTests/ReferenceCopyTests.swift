import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ShardModel
import Testing

/// COPY into a reference table: the same rows everywhere, or none.
@Suite(
    .cluster(
        .init(shards: 2, tables: ["fares": .reference]),
        after: ["CREATE TABLE fares (id int PRIMARY KEY, note text, since timestamptz)"]))
struct ReferenceCopyTests {
    private func copy(_ sql: String, _ data: String) async throws -> Int {
        let client = try await PGClient.connect(
            to: try PostgresEndpoint.parse(try TestCluster.current.dsn), on: MultiThreadedEventLoopGroup.singleton)
        do {
            let count = try await client.copyIn(sql, from: AsyncStream { continuation in
                for byte in data.utf8 { continuation.yield(ByteBuffer(integer: byte)) }
                continuation.finish()
            })
            await client.close()
            return count
        } catch {
            await client.close()
            throw error
        }
    }

    private func copies() async throws -> [String] {
        var copies: [String] = []
        for server in try TestCluster.current.servers {
            copies.append(try await server.psql("SELECT string_agg(f::text, ' ' ORDER BY id) FROM fares f", database: TestCluster.database))
        }
        return copies
    }

    @Test func aWordForThePresentInADateColumnIsRefusedAndNothingIsKept() async throws {
        #expect(try await copy("COPY fares FROM STDIN", "1\tnow\t2024-01-01 00:00+00\n2\t\\N\t\\N\n") == 2)
        let before = try await copies()
        #expect(before[0] == before[1] && before[0].contains("now"))
        for data in ["3\tx\tnow\n", "3\tx\t2024-01-01\n4\ty\t today\n"] {
            let error = await #expect(throws: PGClientError.self) { try await self.copy("COPY fares FROM STDIN", data) }
            #expect(error?.serverError?[.detail] == "PGM-REFERENCE-VOLATILE")
        }
        await #expect(throws: PGClientError.self) { try await self.copy("COPY fares (since, id) FROM STDIN (FORMAT csv)", "\"to\"morrow,5\n") }
        #expect(try await copies() == before)
    }
}
