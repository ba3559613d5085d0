import CatalogStore
import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ShardModel
import Testing

/// Sequences on sharded tables: no value is ever given twice, whichever shard gives it.
@Suite struct SequenceTests {
    private static let tables: [String: Placement] = [
        "orders": .sharded(key: "customer"), "items": .sharded(key: "customer"), "events": .sharded(key: "customer"), "rates": .reference,
        "notes": .local, "old": .sharded(key: "k"),
    ]

    private func withCluster(_ body: @escaping @Sendable (TestCluster, PGClient) async throws -> Void) async throws {
        try await TestCluster.with(.init(shards: 3, tables: Self.tables)) { cluster in
            let client = try await Self.connect(cluster.dsn)
            try await body(cluster, client)
            await client.close()
        }
    }

    private static func connect(_ dsn: String) async throws -> PGClient {
        try await PGClient.connect(to: try PostgresEndpoint.parse(dsn), on: MultiThreadedEventLoopGroup.singleton)
    }

    private func number(_ client: PGClient, _ sql: String) async throws -> Int64 {
        try #require(Int64(try await client.query(sql).rows.first?.text(0) ?? ""))
    }

    private func failure(_ client: PGClient, _ sql: String) async throws -> String? {
        do {
            try await client.execute(sql)
            return nil
        } catch let error as PGClientError {
            return error.serverError?[.detail] ?? error.serverError?.sqlState.code
        }
    }

    @Test func idsOfAllShardsAreDifferentAndExactInJSON() async throws {
        try await withCluster { cluster, client in
            try await client.execute("CREATE TABLE orders (customer bigint, id bigserial, PRIMARY KEY (customer, id))")
            try await client.execute("CREATE TABLE items (customer int, id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT BY 7), v text)")
            try await client.execute("CREATE SEQUENCE numbers START 50")
            try await client.execute("CREATE TABLE events (customer text, id bigint DEFAULT nextval('numbers'))")
            for (table, columns) in [("orders", "(customer)"), ("items", "(customer)"), ("events", "(customer)")] {
                var seen: [Int64] = []
                for customer in 1...40 {
                    seen.append(try await number(client, "INSERT INTO \(table) \(columns) VALUES ('\(customer)') RETURNING id"))
                    seen.append(try await number(client, "INSERT INTO \(table) \(columns) VALUES ('\(customer)') RETURNING id"))
                }
                #expect(Set(seen).count == 80, "\(table)")
                #expect(seen.allSatisfy { $0 > 0 && $0 < 1 << 53 })
                // All three slices were drawn from.
                #expect(Set(seen.map { $0 / SequenceSlice.size }) == [0, 1, 2])
                // COPY that leaves the column to its sequence.
                let count = try await client.copyIn(
                    "COPY \(table) (customer) FROM STDIN", from: AsyncStream { continuation in
                        continuation.yield(ByteBuffer(string: (1...60).map { "\($0)\n" }.joined()))
                        continuation.finish()
                    })
                #expect(count == 60)
                var ids: [String] = []
                for server in cluster.servers {
                    ids += try await server.psql("SELECT id FROM \(table)", database: TestCluster.database).split(separator: "\n").map(String.init)
                }
                #expect(ids.count == 140 && Set(ids).count == 140)
            }
            // The first slice counts as a sequence does by itself.
            #expect(try await number(client, "SELECT min(id) FROM items WHERE customer = \(try await Self.customer(cluster))") % 7 == 100 % 7)
        }
    }

    /// A key on the home shard.
    private static func customer(_ cluster: TestCluster) async throws -> Int {
        let topology = try Topology(database: TestCluster.database, in: try await cluster.store.load())
        return try #require((1...40).first { topology.shards[topology.ring.owner(of: Token(hashing: "\($0)".utf8Span.span.bytes)).value].id == TestCluster.id(of: 0) })
    }

    @Test func nextvalByItselfNeverMeetsTheShards() async throws {
        try await withCluster { _, client in
            try await client.execute("CREATE TABLE orders (customer bigint, id bigserial)")
            var seen: Set<Int64> = []
            for customer in 1...60 {
                #expect(seen.insert(try await number(client, "SELECT nextval('orders_id_seq')")).inserted)
                #expect(seen.insert(try await number(client, "INSERT INTO orders (customer) VALUES (\(customer)) RETURNING id")).inserted)
            }
            // setval moves what the home shard gives.
            _ = try await client.query("SELECT setval('orders_id_seq', 1000)")
            #expect(try await number(client, "SELECT nextval('orders_id_seq')") == 1001)
            #expect(try await failure(client, "SELECT setval('orders_id_seq', \(SequenceSlice.size))") == "22003")
            #expect(try await failure(client, "ALTER SEQUENCE orders_id_seq RESTART WITH 7") == "PGM-SEQUENCE-DEFAULT")
            #expect(try await failure(client, "ALTER TABLE orders ALTER COLUMN id SET MAXVALUE 7") != nil)
            try await client.execute("TRUNCATE orders RESTART IDENTITY")
            var again: Set<Int64> = []
            for customer in 1...30 {
                #expect(again.insert(try await number(client, "INSERT INTO orders (customer) VALUES (\(customer)) RETURNING id")).inserted)
            }
            #expect(Set(again.map { $0 / SequenceSlice.size }).count == 3)
        }
    }

    @Test func whatCannotBeSharedOutIsRefused() async throws {
        try await withCluster { cluster, client in
            for type in ["serial", "smallserial", "int GENERATED ALWAYS AS IDENTITY", "bigint GENERATED ALWAYS AS IDENTITY (MAXVALUE 1000)"] {
                #expect(try await failure(client, "CREATE TABLE orders (customer bigint, id \(type))") == "PGM-SEQUENCE-DEFAULT", "\(type)")
                #expect(try await failure(client, "CREATE TABLE rates (customer bigint, id \(type))") == "PGM-SEQUENCE-DEFAULT", "\(type)")
            }
            #expect(try await failure(client, "CREATE TABLE rates (id bigserial)") == "PGM-SEQUENCE-DEFAULT")
            try await client.execute("CREATE SEQUENCE small AS int")
            try await client.execute("CREATE SEQUENCE down INCREMENT -1")
            for name in ["small", "down"] {
                let sql = "CREATE TABLE orders (customer bigint, id bigint DEFAULT nextval('\(name)'))"
                #expect(try await failure(client, sql) == "PGM-SEQUENCE-DEFAULT", "\(name)")
            }
            // Local tables may have any.
            try await client.execute("CREATE TABLE notes (id serial, other bigserial, third smallserial)")
            for number in 1...3 { #expect(try await self.number(client, "INSERT INTO notes DEFAULT VALUES RETURNING other") == Int64(number)) }
            // Made behind the router's back: whole, and so refused.
            for index in cluster.servers.indices {
                try await cluster.servers[index].psql("CREATE TABLE old (k bigint, id bigserial)", database: TestCluster.database)
            }
            try await eventually("the router knows the table") { try await self.failure(client, "INSERT INTO old VALUES (1, 1)") == nil }
            #expect(try await failure(client, "INSERT INTO old (k) VALUES (1)") == "PGM-SEQUENCE")
        }
    }

    @Test func aColumnThatIsAddedGivesNoValueTwice() async throws {
        try await withCluster { cluster, client in
            try await client.execute("CREATE TABLE orders (customer bigint)")
            try await client.execute("CREATE TABLE items (customer bigint)")
            try await client.execute("ALTER TABLE items ADD COLUMN id bigserial")
            for customer in 1...30 { try await client.execute("INSERT INTO orders VALUES (\(customer))") }
            // PostgreSQL fills the rows that are there before the shards have their parts of the values.
            #expect(try await failure(client, "ALTER TABLE orders ADD COLUMN id bigserial") == "PGM-SEQUENCE-ROWS")
            #expect(try await failure(client, "SELECT id FROM orders WHERE customer = 1") == "42703")
            try await client.execute("CREATE SEQUENCE order_ids")
            // In a transaction, too, and the session sees what it has made.
            try await client.execute("BEGIN")
            try await client.execute("ALTER TABLE orders ADD COLUMN id bigint DEFAULT nextval('order_ids')")
            try await client.execute("INSERT INTO orders (customer) VALUES (31)")
            try await client.execute("COMMIT")
            for customer in 1...30 { try await client.execute("INSERT INTO items (customer) VALUES (\(customer))") }
            for (table, count) in [("orders", 31), ("items", 30)] {
                var ids: [String] = []
                for server in cluster.servers {
                    ids += try await server.psql("SELECT id FROM \(table)", database: TestCluster.database).split(separator: "\n").map(String.init)
                }
                #expect(ids.count == count && Set(ids).count == count, "\(table) \(ids)")
            }
        }
    }
}
