import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ShardModel

/// The router over four shards, one plain server, and ways to look at each shard by itself.
struct RandomArena: Sendable {
    struct Round {
        var equal = 0
        var refused = 0
        /// Refusals by code.
        var codes: [String: Int] = [:]
        /// Of the equal answers, those that had rows or changed some.
        var telling = 0
        var failure: String?

        mutating func add(_ other: Round) {
            equal += other.equal
            refused += other.refused
            telling += other.telling
            codes.merge(other.codes, uniquingKeysWith: +)
        }
    }

    let router: PGClient
    let plain: PGClient
    let shards: [PGClient]

    static func make(_ cluster: TestCluster) async throws -> RandomArena {
        try await cluster.servers[3].createDatabase("plain")
        var shards: [PGClient] = []
        for index in cluster.servers.indices { shards.append(try await connect(cluster.endpoint(of: index))) }
        let arena = RandomArena(
            router: try await connect(cluster.dsn), plain: try await connect(cluster.servers[3].dsn(database: "plain")), shards: shards)
        for statement in RandomSchema.definitions {
            try await arena.router.execute(statement)
            try await arena.plain.execute(statement)
        }
        return arena
    }

    private static func connect(_ dsn: String) async throws -> PGClient {
        try await PGClient.connect(to: try PostgresEndpoint.parse(dsn), on: MultiThreadedEventLoopGroup.singleton)
    }

    func close() async {
        for client in [router, plain] + shards { await client.close() }
    }

    // MARK: A round

    /// Fresh rows, then statements, then a look at every row. Ends at the first difference.
    func round(seed: UInt64, statements: Int) async throws -> Round {
        try await fill()
        var round = Round()
        var made = 0
        var transaction = 0
        while made < statements {
            // One shape with several values: what the router remembered of the first must be right for the others.
            let shape = seed &* 1_000_003 &+ UInt64(made)
            for variant in 0..<(made % 3 == 0 ? 3 : 1) {
                var generator = StatementGenerator(shape: shape, values: shape &* 31 &+ UInt64(variant))
                let statement = generator.next()
                made += 1
                if transaction == 0, made % 23 == 0 {
                    try await both("BEGIN")
                    transaction = 5
                }
                switch try await compare(statement) {
                case .equal(let isTelling):
                    round.equal += 1
                    if isTelling { round.telling += 1 }
                case .failed:
                    round.equal += 1
                    if transaction > 0 { transaction = 1 }
                case .refused(let code):
                    round.refused += 1
                    round.codes[code, default: 0] += 1
                    if transaction > 0 { transaction = try await endTransaction("ROLLBACK") }
                case .different(let text):
                    round.failure = text
                    return try await leave(round)
                }
                if transaction > 0 {
                    transaction -= 1
                    if transaction == 0 { _ = try await endTransaction(made % 2 == 0 ? "COMMIT" : "ROLLBACK") }
                }
            }
        }
        if transaction > 0 { _ = try await endTransaction("COMMIT") }
        round.failure = try await differenceOfContents()
        return round
    }

    private func leave(_ round: Round) async throws -> Round {
        try await both("ROLLBACK")
        return round
    }

    private func endTransaction(_ statement: String) async throws -> Int {
        try await both(statement)
        return 0
    }

    private func both(_ statement: String) async throws {
        try await router.execute(statement)
        try await plain.execute(statement)
    }

    private func fill() async throws {
        let names = RandomSchema.tables.map(\.name).joined(separator: ", ")
        try await plain.execute("TRUNCATE \(names)")
        for table in RandomSchema.tables { try await router.execute("TRUNCATE \(table.name)") }
        for statement in RandomSchema.data {
            try await plain.execute(statement)
            try await router.execute(statement)
        }
    }

    // MARK: Comparing

    private enum Outcome { case equal(isTelling: Bool), failed, refused(code: String), different(String) }

    private func compare(_ statement: RandomStatement) async throws -> Outcome {
        let answer = try await Self.run(router, statement)
        if let code = answer.refusal { return .refused(code: code) }
        let expected = try await Self.run(plain, statement)
        if answer == expected { return answer.sqlState == nil ? .equal(isTelling: answer.isTelling) : .failed }
        let parameters = statement.parameters.map { "\($0.format) \($0.typeOID) \($0.value.map { Array(buffer: $0).description } ?? "NULL")" }
        return .different("\(statement.protocolKind) \(statement.sql)\nparameters \(parameters)\nrouter: \(answer)\nplain:  \(expected)")
    }

    private struct Answer: Equatable {
        var columns: [String] = []
        /// Sorted: no order was asked for that a difference would be seen in.
        var rows: [String] = []
        var tag: String?
        var sqlState: String?
        /// The code of a refusal.
        var refusal: String?

        var isTelling: Bool { !rows.isEmpty || tag?.hasSuffix(" 0") == false }
    }

    private static func run(_ client: PGClient, _ statement: RandomStatement) async throws -> Answer {
        do {
            let result: PGResult
            switch statement.protocolKind {
            case .simple: result = try await client.execute(statement.sql).first ?? PGResult()
            case .extendedText, .extendedBinary:
                var options = PGClient.QueryOptions()
                options.resultFormat = statement.protocolKind == .extendedBinary ? .binary : .text
                result = try await client.query(statement.sql, statement.parameters, options: options)
            }
            return Answer(
                columns: result.columns.map { "\($0.name) \($0.typeOID) \($0.typeModifier)" }, rows: lines(result).sorted(), tag: result.tag?.text)
        } catch let error as PGClientError {
            guard let serverError = error.serverError else { throw error }
            return Answer(sqlState: serverError.sqlState.code, refusal: serverError[.detail].flatMap { $0.hasPrefix("PGM-") ? $0 : nil })
        }
    }

    private static func lines(_ result: PGResult) -> [String] {
        result.rows.map { row in
            row.values.map { value in value.map { String($0.readableBytesView.map { String(UnicodeScalar($0)) }.joined()) } ?? "NULL" }.joined(separator: "|")
        }
    }

    /// Every row of every table, on the shards themselves: a row that is missing, doubled, changed or on a wrong shard.
    private func differenceOfContents() async throws -> String? {
        for table in RandomSchema.tables {
            let sql = "SELECT * FROM \(table.name)"
            let expected = Self.lines(try await plain.query(sql)).sorted()
            var rows: [[String]] = []
            for shard in shards { rows.append(Self.lines(try await shard.query(sql)).sorted()) }
            switch RandomSchema.placements[table.name] {
            case .sharded(_)?:
                let all = rows.flatMap { $0 }.sorted()
                if all != expected { return "\(table.name) holds \(all) on the shards, and \(expected) on the plain server" }
                if let misplaced = try await differenceByKey(table) { return misplaced }
            case .reference?:
                for (index, copy) in rows.enumerated() where copy != expected {
                    return "\(table.name) holds \(copy) on shard \(index + 1), and \(expected) on the plain server"
                }
            default:
                if rows[0] != expected { return "\(table.name) holds \(rows[0]) on the home shard, and \(expected) on the plain server" }
            }
        }
        return nil
    }

    /// A row that is on another shard than its key's is not found by its key.
    private func differenceByKey(_ table: RandomSchema.Table) async throws -> String? {
        guard let key = table.key else { return nil }
        for row in try await plain.query("SELECT DISTINCT \(key)::text FROM \(table.name)").rows {
            let sql = "SELECT * FROM \(table.name) WHERE \(key) = '\((row.text(0) ?? "").replacing("'", with: "''"))'"
            let (found, expected) = (Self.lines(try await router.query(sql)).sorted(), Self.lines(try await plain.query(sql)).sorted())
            if found != expected { return "\(sql) gives \(found), and \(expected) on the plain server" }
        }
        return nil
    }
}

extension RandomArena.Round: CustomStringConvertible {
    var description: String {
        let reasons = codes.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }
        return "\(equal) equal, \(telling) of them with rows; \(refused) refused: \(reasons.joined(separator: ", "))"
    }
}
