import Foundation
import PostgresProcess
import Testing

@Suite struct PostgresServerTests {
    @Test func aNewServerAnswersOverLoopbackWithTheSettingsThatShardsNeed() async throws {
        try await withTemporaryFolder { folder in
            let server = try await PostgresServer.create(PostgresServerOptions(dataDirectory: folder + "/data"))
            let answer = try await server.psql(
                "select current_setting('wal_level'), current_setting('listen_addresses'), current_setting('max_prepared_transactions')::int >= 100")
            #expect(answer == "logical|127.0.0.1|t")
            await server.stop()
        }
    }
}
