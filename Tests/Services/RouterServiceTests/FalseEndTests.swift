import ClusterTestKit
import ControlAPI
import Glibc
import NIOCore
import PGTestServer
import PGWire
import ServerConfig
import ShardModel
import TestKit
import Testing

@Suite struct FalseEndTests {
    /// A pipeline that goes back to another shard waits for the answers of the one it spoke to. That one says there that the transaction is over, as all
    /// have said by then: that ends it for the session, and with it the list of its shards. The router crashed.
    @Test func shardsThatSayThatTheTransactionIsOverHurtNobody() async throws {
        var options = TestCluster.Options(shards: 3, tables: ["kv": .sharded(key: "k")])
        options.router = { $0.loops = 1 }
        var configuration = PGTestServer.Configuration()
        configuration.answer = { query in
            if query.contains("transaction_isolation") { return .raw(Self.idle(row: "read committed")) }
            if query.contains("v > 1") { return .raw(Self.idle(row: "7")) }
            return query.contains("FROM kv") || query.contains("pgmosaic.hello(") ? .rows(columns: ["v"], rows: [["7"]]) : .command("SET")
        }
        try await FakeShard.withKeys(options, configuration) { cluster, shard, keys in
            let reads = keys.map { "SELECT v FROM kv WHERE k = \($0)" }
            try await eventually("both shards are the test's") {
                let seen = try await (cluster.rows(reads[1]), cluster.rows(reads[2]))
                return seen == ([["v": "7"]], [["v": "7"]])
            }
            let client = try #require(LoopbackSocket.connected(to: cluster.wirePort))
            var messages = ByteBuffer()
            messages.writeStartup([.init(name: "user", value: "test"), .init(name: "database", value: TestCluster.database)])
            messages.writeQuery("BEGIN")
            messages.writeQuery(reads[1])
            messages.writeQuery(reads[2])
            for text in [reads[2] + " AND v > 1", reads[1]] {
                messages.writeParse(name: "", query: text)
                messages.writeBind(portal: "", statement: "", parameters: [])
                messages.writeExecute()
            }
            messages.writeSync()
            messages.writeTerminate()
            #expect(LoopbackSocket.send(Array(buffer: messages), to: client))
            // To the end of the connection, whatever is said.
            while LoopbackSocket.receive(client) != nil {}
            Glibc.close(client)
            #expect(shard.queries.contains { $0.contains("v > 1") }, "the pipeline has begun")
            #expect(try await cluster.rows(reads[0]) == [], "the router serves others")
        }
    }

    /// A row, and that no transaction is open.
    private static func idle(row: String) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeRowDescription([RowDescription.Column(name: "v", typeOID: 25)])
        bytes.writeDataRow(text: [row])
        bytes.writeCommandComplete(tag: "SELECT 1")
        bytes.writeReadyForQuery(status: UInt8(ascii: "I"))
        return bytes
    }
}
