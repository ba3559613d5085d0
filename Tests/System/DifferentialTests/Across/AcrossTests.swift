import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ShardModel
import Testing

/// Statements over all shards, and the same on one plain PostgreSQL with the same rows: the same columns, rows and tag, in each protocol and form.
@Suite struct AcrossTests {
    @Test func whatIsAnsweredByAllShardsIsOnePostgreSQLsAnswer() async throws {
        try await Self.withBoth { router, plain in
            var answered = 0
            for statement in AcrossStatements.all {
                for form in AcrossForm.allCases {
                    let expected = try await form.run(plain, statement)
                    let answer = try await form.run(router, statement)
                    #expect(answer == expected, "\(form): \(statement)")
                    if answer.sqlState == nil { answered += 1 }
                }
            }
            #expect(answered > 2 * AcrossStatements.all.count)
        }
    }

    /// Each of them is right or refused: that is decided by its code.
    @Test func whatCannotBeProvenIsRefused() async throws {
        try await Self.withBoth { router, _ in
            for (statement, code) in AcrossStatements.refused {
                for form in AcrossForm.allCases {
                    let answer = try await form.run(router, statement)
                    #expect(answer.refusal == code, "\(form): \(statement)")
                }
            }
        }
    }

    /// Of 150 at random not one may differ, and few may be refused: those of types that are not combined.
    @Test func whatIsMadeAtRandomIsOnePostgreSQLsAnswer() async throws {
        let rounds = RandomRounds()
        try await Self.withBoth { router, plain in
            for seed in rounds {
                var grammar = AcrossGrammar(seed: seed)
                var equal = 0, refused = 0
                for _ in 0..<150 {
                    let statement = grammar.statement()
                    for form in AcrossForm.allCases {
                        let answer = try await form.run(router, statement)
                        if answer.refusal != nil {
                            refused += 1
                            continue
                        }
                        let expected = try await form.run(plain, statement)
                        #expect(answer == expected, "\(form): \(statement)")
                        if expected.sqlState == nil { equal += 1 }
                    }
                }
                #expect(equal > 300 && refused < 60, "\(equal) equal, \(refused) refused")
            }
        }
    }

    @Test func inATransactionItSeesItsOwnRows() async throws {
        try await Self.withBoth { router, plain in
            for client in [router, plain] {
                try await client.execute("BEGIN")
                try await client.execute("INSERT INTO a VALUES (1000, 1, 7, 'new'), (1001, 1, 7, 'new'), (1002, 1, 7, 'new')")
                try await client.execute("DELETE FROM a WHERE k = 1")
            }
            for form in AcrossForm.allCases {
                for statement in AcrossStatements.all.prefix(40) {
                    let expected = try await form.run(plain, statement)
                    let answer = try await form.run(router, statement)
                    // An error would end the transaction.
                    if expected.sqlState != nil || answer.sqlState != nil { break }
                    #expect(answer == expected, "\(form): \(statement)")
                }
            }
            for client in [router, plain] { try await client.execute("ROLLBACK") }
            let statement = "SELECT k, n FROM a WHERE s = 'new'"
            let (answer, expected) = (try await AcrossForm.simple.run(router, statement), try await AcrossForm.simple.run(plain, statement))
            #expect(answer == expected)
        }
    }

    static func withBoth(_ body: @escaping @Sendable (PGClient, PGClient) async throws -> Void) async throws {
        let tables: [String: Placement] = [
            "a": .sharded(key: "k"), "b": .sharded(key: "k"), "few": .sharded(key: "k"), "none": .sharded(key: "k"), "odd": .sharded(key: "k"),
            "words": .sharded(key: "k"), "plain": .sharded(key: "k"), "ref": .reference,
        ]
        try await TestCluster.with(.init(shards: 4, tables: tables)) { cluster in
            try await cluster.servers[3].createDatabase("plain")
            let router = try await connect(cluster.dsn)
            let plain = try await connect(cluster.servers[3].dsn(database: "plain"))
            for statement in AcrossStatements.schema + AcrossStatements.data {
                try await router.execute(statement)
                try await plain.execute(statement)
            }
            try await body(router, plain)
            await router.close()
            await plain.close()
        }
    }

    private static func connect(_ dsn: String) async throws -> PGClient {
        try await PGClient.connect(to: try PostgresEndpoint.parse(dsn), on: MultiThreadedEventLoopGroup.singleton)
    }
}

/// How a statement is sent, and its rows come.
enum AcrossForm: CaseIterable {
    case simple, extendedText, extendedBinary

    struct Answer: Equatable {
        var columns: [String] = []
        /// In their order where the statement asks for one, else sorted.
        var rows: [String] = []
        var tag: String?
        var sqlState: String?
        var refusal: String?
    }

    func run(_ client: PGClient, _ sql: String) async throws -> Answer {
        do {
            let result: PGResult
            switch self {
            case .simple: result = try await client.execute(sql).first ?? PGResult()
            case .extendedText, .extendedBinary:
                var options = PGClient.QueryOptions()
                options.resultFormat = self == .extendedBinary ? .binary : .text
                result = try await client.query(sql, options: options)
            }
            let rows = result.rows.map { row in row.values.map { $0.map { Array(buffer: $0).description } ?? "NULL" }.joined(separator: "|") }
            return Answer(
                columns: result.columns.map { "\($0.name) \($0.typeOID) \($0.typeModifier)" }, rows: sql.contains("ORDER BY") ? rows : rows.sorted(),
                tag: result.tag?.text)
        } catch let error as PGClientError {
            guard let serverError = error.serverError else { throw error }
            let code = serverError[.detail].flatMap { $0.split(separator: ":").first.map(String.init) }
            return Answer(sqlState: serverError.sqlState.code, refusal: code.flatMap { $0.hasPrefix("PGM-") ? $0 : nil })
        }
    }
}
