import CatalogStore
import ClusterTestKit
import NIOCore
import NIOPosix
import PGTestServer
import PGWire
import ServerConfig
import ShardModel
import Testing

extension FaultTests {
    /// A shard that says what no PostgreSQL says, or half of it: the client is never sent a message that is none.
    @Suite(
        .faultCluster(shards: 2, preparesApart: true) { settings in
            settings.loops = 1
            settings.transactionTimeout = .seconds(6)
        }, .serialized)
    struct HostileShardTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// Puts a server in the place of the second shard, which answers reads of `kv` by these bytes.
        private func withShard(
            answering bytes: ByteBuffer, commit: PGTestAnswer = .command("COMMIT"), _ body: (_ key: Int64) async throws -> Void
        ) async throws {
            var configuration = PGTestServer.Configuration()
            configuration.answer = { query in
                if query.contains("FROM kv") { return .raw(bytes) }
                return query == "COMMIT" ? commit : .command(query == "BEGIN" ? "BEGIN" : "SET")
            }
            let shard = try await PGTestServer.start(configuration, on: MultiThreadedEventLoopGroup.singleton)
            let key = try await cluster.key(on: 1)
            let catalog = try await cluster.store.load()
            var record = try #require(catalog.shards[TestCluster.id(of: 1)])
            record.primaryEndpoint = "postgres://test@127.0.0.1:\(shard.port)/\(TestCluster.database)"
            _ = try await cluster.store.commit(CatalogChange([.putShard(record)], author: "test"), expecting: catalog.epoch)
            try await eventually("the router knows the shard") {
                let client = try await cluster.login()
                defer { client.close() }
                try await client.send(WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
                _ = try await client.untilEnd(orReady: true)
                return shard.queries.contains { $0.contains("FROM kv") }
            }
            try await body(key)
            await shard.stop()
        }

        private static let row = ByteBuffer.building { $0.writeDataRow(text: [String(repeating: "x", count: 100)]) }

        @Test func halfARowThatNobodyAskedForReachesNobody() async throws {
            let bytes = ByteBuffer.building {
                $0.writeRowDescription([.init(name: "v", typeOID: 25)])
                $0.writeCommandComplete(tag: "SELECT 0")
                $0.writeReadyForQuery(status: UInt8(ascii: "T"))
                $0.writeImmutableBuffer(Self.row.getSlice(at: 0, length: 20)!)
            }
            try await withShard(answering: bytes) { key in
                let client = try await cluster.login()
                try await client.query("BEGIN")
                #expect(try await client.query("SELECT v FROM kv WHERE k = \(key)").map(\.description) == ["T", "C(SELECT 0)", "Z(T)"])
                // The shard has broken the protocol, and is lost to the transaction.
                #expect(try await client.query("SELECT v FROM kv WHERE k = \(key)").map(\.description) == ["E(08006)", "Z(E)"])
                client.close()
            }
        }

        /// The router ends the transaction of a statement with a hint behind its answer.
        @Test func aShardThatIsLostBehindAnAnswerIsNotAnsweredForAgain() async throws {
            let bytes = ByteBuffer.building {
                $0.writeRowDescription([.init(name: "v", typeOID: 25)])
                $0.writeCommandComplete(tag: "SELECT 0")
                $0.writeReadyForQuery(status: UInt8(ascii: "T"))
            }
            try await withShard(answering: bytes, commit: .hangUp) { key in
                let client = try await cluster.login()
                try await client.send(WireMessages.query("/* pgmosaic: shard_key=\(key) */ SELECT v FROM kv") + WireMessages.query("SHOW pgmosaic.database"))
                #expect(try await client.until("Z").map(\.description) == ["T", "C(SELECT 0)", "Z(I)"])
                #expect(try await client.until("Z").map(\.description) == ["T", "D(shop)", "C(SHOW)", "Z(I)"])
                client.close()
            }
        }

        /// The client would take it for the answer to its Sync, and all that follows for another's.
        ///
        /// A large row is passed on while it arrives: it is whole before the error is written.
        @Test(arguments: [1, 1 << 20]) func aReadyForQueryBeforeTheSyncReachesNobody(rowSize: Int) async throws {
            let bytes = ByteBuffer.building {
                $0.writeDataRow(text: [String(repeating: "x", count: rowSize)])
                $0.writeCommandComplete(tag: "SELECT 0")
                $0.writeReadyForQuery(status: UInt8(ascii: "I"))
            }
            try await withShard(answering: bytes) { key in
                let client = try await cluster.login()
                try await client.send(
                    WireMessages.parse("", "SELECT v FROM kv WHERE k = \(key)") + WireMessages.bind("", "") + WireMessages.describe("P", "")
                        + WireMessages.execute("") + WireMessages.flush)
                var answer = try await client.until("E").map(\.description)
                #expect(!answer.contains { $0.hasPrefix("Z") } && answer.last == "E(08006)", "\(answer.map { $0.prefix(20) })")
                #expect(answer.contains("D(\(String(repeating: "x", count: rowSize)))"))
                try await client.send(WireMessages.sync + WireMessages.query("SHOW pgmosaic.database"))
                answer = try await client.until("Z").map(\.description)
                #expect(answer == ["Z(I)"])
                #expect(try await client.until("Z").map(\.description) == ["T", "D(shop)", "C(SHOW)", "Z(I)"])
                client.close()
            }
        }

        /// The time is over while a row is on its way: its rest must not be the bytes of an error.
        @Test func anErrorNeverCompletesARow() async throws {
            let bytes = ByteBuffer.building {
                $0.writeRowDescription([.init(name: "v", typeOID: 25)])
                $0.writeImmutableBuffer(Self.row.getSlice(at: 0, length: Self.row.readableBytes - 20)!)
            }
            try await withShard(answering: bytes) { key in
                let client = try await cluster.login()
                try await client.send(WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
                #expect(try await client.untilEnd().map(\.description) == ["T"])
                client.close()
            }
        }
    }
}

extension ByteBuffer {
    fileprivate static func building(_ build: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer()
        build(&buffer)
        return buffer
    }
}
