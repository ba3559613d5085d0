import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ShardModel
import Testing

/// The same statements through the router over four shards, and on one plain PostgreSQL that holds all the data: equal in every visible respect.
@Suite struct DifferentialTests {
    @Test func statementsOnSingleKeysGiveWhatOnePostgreSQLGives() async throws {
        #expect(Statements.all.count >= 100)
        try await withBoth { pair in
            for statement in Statements.all { try await pair.compare(statement) }
            try await pair.compareContents()
        }
    }

    @Test func parametersInTextAndBinaryGiveTheSameAsLiterals() async throws {
        try await withBoth { pair in
            for format in [WireFormat.text, .binary] {
                for key in [1, 2, 3, 17, 42, 99, -1] {
                    var options = PGClient.QueryOptions()
                    options.resultFormat = format
                    for parameter in Self.encodings(of: key) {
                        try await pair.compare("SELECT id, name, balance, born, tags FROM people WHERE id = $1", [parameter], options)
                        try await pair.compare(
                            "SELECT o.no, o.total FROM orders o JOIN people p ON p.id = o.id WHERE p.id = $1 ORDER BY o.no", [parameter], options)
                    }
                }
            }
        }
    }

    /// An integer as drivers send it: untyped text, and binary of each width.
    private static func encodings(of key: Int) -> [PGParameter] {
        [
            .text(String(key)), .text(String(key), typeOID: 20), .binary(ByteBuffer(integer: Int64(key)), typeOID: 20),
            .binary(ByteBuffer(integer: Int32(key)), typeOID: 23), .binary(ByteBuffer(integer: Int16(key)), typeOID: 21),
        ]
    }

    private func withBoth(_ body: @escaping @Sendable (ServerPair) async throws -> Void) async throws {
        let tables: [String: Placement] = [
            "people": .sharded(key: "id"), "orders": .sharded(key: "id"), "docs": .sharded(key: "slug"), "things": .sharded(key: "code"),
            "colours": .reference, "notes": .local,
        ]
        try await TestCluster.with(.init(shards: 4, tables: tables)) { cluster in
            try await cluster.servers[3].createDatabase("plain")
            let router = try await Self.connect(cluster.dsn)
            let plain = try await Self.connect(cluster.servers[3].dsn(database: "plain"))
            let pair = ServerPair(router: router, plain: plain)
            for statement in Statements.schema + Statements.data { try await pair.compare(statement) }
            try await body(pair)
            await router.close()
            await plain.close()
        }
    }

    private static func connect(_ dsn: String) async throws -> PGClient {
        try await PGClient.connect(to: try PostgresEndpoint.parse(dsn), on: MultiThreadedEventLoopGroup.singleton)
    }
}

/// A connection to the router and one to the plain server.
struct ServerPair: Sendable {
    let router: PGClient
    let plain: PGClient

    /// What a client sees of a statement.
    struct Answer: Equatable {
        var columns: [String] = []
        var rows: [[String?]] = []
        var tag: String?
        var sqlState: String?
    }

    func compare(
        _ sql: String, _ parameters: [PGParameter] = [], _ options: PGClient.QueryOptions = .init(), sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let expected = try await Self.run(plain, sql, parameters, options)
        let answer = try await Self.run(router, sql, parameters, options)
        #expect(answer == expected, "\(sql)", sourceLocation: sourceLocation)
    }

    /// Every key of the data, read one by one, since the router refuses to read a whole sharded table.
    func compareContents() async throws {
        for key in -2...130 {
            try await compare("SELECT * FROM people WHERE id = \(key)")
            try await compare("SELECT * FROM orders WHERE id = \(key) ORDER BY no")
        }
        try await compare("SELECT * FROM colours ORDER BY colour")
    }

    private static func run(
        _ client: PGClient, _ sql: String, _ parameters: [PGParameter], _ options: PGClient.QueryOptions
    ) async throws -> Answer {
        do {
            let result = try await client.query(sql, parameters, options: options)
            return Answer(
                columns: result.columns.map { "\($0.name) \($0.typeOID) \($0.typeModifier)" },
                rows: result.rows.map { row in row.values.map { $0.map { Array(buffer: $0).description } } }, tag: result.tag?.text)
        } catch let error as PGClientError {
            guard let sqlState = error.serverError?.sqlState.code else { throw error }
            return Answer(sqlState: sqlState)
        }
    }
}
