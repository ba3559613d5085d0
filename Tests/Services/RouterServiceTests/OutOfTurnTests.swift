import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGTestServer
import PGWire
import ServerConfig
import ShardModel
import Testing

@Suite struct OutOfTurnTests {
    enum Extra: CaseIterable { case readyForQuery, commandComplete, error, copyIn, rowDescription }

    private static func bytes(_ extra: Extra) -> ByteBuffer {
        var buffer = ByteBuffer()
        switch extra {
        case .readyForQuery: buffer.writeReadyForQuery(status: UInt8(ascii: "T"))
        case .commandComplete: buffer.writeCommandComplete(tag: "SELECT 1")
        case .error: buffer.writeErrorResponse(ServerError(sqlState: .protocolViolation, message: "nobody has asked"))
        case .copyIn: buffer.writeFrame(BackendKind.copyInResponse) { $0.writeBytes([0, 0, 0]) }
        case .rowDescription: buffer.writeRowDescription([RowDescription.Column(name: "v", typeOID: 25)])
        }
        return buffer
    }

    /// A shard that says, in an open transaction, what nobody has asked: the client must not take it for the answer to its next statement.
    @Test(arguments: Extra.allCases) func whatAShardSaysOutOfTurnIsNoAnswer(_ extra: Extra) async throws {
        var options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])
        options.router = { $0.loops = 1 }
        var configuration = PGTestServer.Configuration()
        configuration.answer = { query in
            var bytes = ByteBuffer()
            if query.contains("pgmosaic.hello(") { return .rows(columns: ["hello"], rows: [[""]]) }
            if query == "BEGIN" {
                bytes.writeCommandComplete(tag: "BEGIN")
            } else if query.contains("FROM kv") {
                bytes.writeRowDescription([RowDescription.Column(name: "v", typeOID: 25)])
                bytes.writeDataRow(text: ["7"])
                bytes.writeCommandComplete(tag: "SELECT 1")
            } else {
                return .command("SET")
            }
            bytes.writeReadyForQuery(status: UInt8(ascii: "T"))
            if query.contains("FROM kv") { bytes.writeImmutableBuffer(Self.bytes(extra)) }
            return .raw(bytes)
        }
        try await FakeShard.with(options, configuration) { cluster, _, key in
            let client = try await PGClient.connect(to: try .parse(cluster.dsn), on: MultiThreadedEventLoopGroup.singleton)
            _ = try await client.query("BEGIN")
            #expect(try await client.query("SELECT v FROM kv WHERE k = \(key)").rows.first?.text(0) == "7")
            var failure = ""
            do { _ = try await client.query("SELECT v FROM kv WHERE k = \(key) AND v > 0") } catch { failure = "\(error)" }
            #expect(failure.contains("08006"), "\(failure)")
            _ = try await client.query("ROLLBACK")
            #expect(try await client.query("SELECT 1 + 1").rows.first?.text(0) == "2")
            await client.close()
        }
    }
}
