import ClusterTestKit
import Foundation
import NIOCore
import NIOPosix
import PGChannel
import PostgresProcess
import ShardModel
import Testing

/// The 22 queries of TPC-H over four shards, and on one plain PostgreSQL with the same rows.
///
/// `PGMOSAIC_TPCH_SCALE=0.1 swift test --filter everyQueryOfTPCH` runs them at scale 0.1, and tells what each took.
@Suite struct TPCHTests {
    /// Those that the shards answer for their own keys, or parts of the answer: all tables of the statement have the orders' key. The rows of the others are brought to the home shard.
    static let answeredByShards = [1, 4, 6, 12]

    /// Rows of a scale are always the same; of this one no query is without one.
    private static let usualScale = 0.003

    @Test func everyQueryOfTPCHGivesWhatOnePostgreSQLGives() async throws {
        let scale = ProcessInfo.processInfo.environment["PGMOSAIC_TPCH_SCALE"].flatMap { Double($0) }
        try await Self.withBoth(scale: scale ?? Self.usualScale) { router, plain in
            for (index, query) in TPCHQueries.all(scale: scale ?? Self.usualScale).enumerated() {
                for form in [AcrossForm.simple, .extendedBinary] where scale != nil || (form == .simple) == index.isMultiple(of: 2) {
                    let began = ContinuousClock.now
                    let expected = try await form.run(plain, query)
                    let between = ContinuousClock.now
                    let answer = try await form.run(router, query)
                    #expect(expected.sqlState == nil && ![[], ["NULL"]].contains(expected.rows), "query \(index + 1)")
                    #expect(answer.comparable(of: query) == expected.comparable(of: query), "\(form): query \(index + 1)")
                    if scale != nil { print("TPC-H \(index + 1), \(form): \(expected.rows.count) rows, \(between - began) on one server, \(between.duration(to: .now)) over four") }
                }
            }
            try await Self.expectRoutes(router)
        }
    }

    private static func expectRoutes(_ router: PGClient) async throws {
        try await router.execute("SET pgmosaic.explain = on")
        for (index, query) in TPCHQueries.all(scale: 1).enumerated() {
            let explanation = try await router.execute(query).first.map(FinisherTests.rows)?.first ?? ""
            let reason = answeredByShards.contains(index + 1) ? "each shard answers for its own keys" : "its rows are brought to the home shard"
            #expect(explanation.hasSuffix(reason), "query \(index + 1): \(explanation)")
        }
    }

    private static func withBoth(scale: Double, _ body: @escaping @Sendable (PGClient, PGClient) async throws -> Void) async throws {
        try await TestCluster.with(.init(shards: 4, tables: TPCHSchema.placements)) { cluster in
            try await cluster.servers[3].createDatabase("plain")
            let router = try await connect(cluster.dsn), plain = try await connect(cluster.servers[3].dsn(database: "plain"))
            let rows = TPCHGenerator(scale: scale).rows
            for (name, columns) in TPCHSchema.tables {
                for client in [router, plain] {
                    try await client.execute("CREATE TABLE \(name) (\(columns))")
                    try await client.copyIn("COPY \(name) FROM STDIN", from: pieces(of: rows[name] ?? ByteBuffer()))
                }
            }
            for index in cluster.servers.indices {
                let shard = try await connect(cluster.endpoint(of: index))
                try await shard.execute("ANALYZE")
                await shard.close()
            }
            try await plain.execute("ANALYZE")
            try await body(router, plain)
            await router.close()
            await plain.close()
        }
    }

    private static func pieces(of data: ByteBuffer) -> AsyncStream<ByteBuffer> {
        AsyncStream { continuation in
            var rest = data
            while let piece = rest.readSlice(length: min(rest.readableBytes, 256 << 10)), piece.readableBytes > 0 { continuation.yield(piece) }
            continuation.finish()
        }
    }

    private static func connect(_ dsn: String) async throws -> PGClient {
        var options = PGClient.Options()
        // At larger scales some queries take minutes.
        options.callTimeout = .minutes(30)
        return try await PGClient.connect(to: try PostgresEndpoint.parse(dsn), on: MultiThreadedEventLoopGroup.singleton, options: options)
    }
}
