import NIOCore
import NIOPosix
import PGChannel
import PGWire
import Testing

/// A connection to the router and one to a plain server that holds the same data.
struct CopyPair: Sendable {
    /// A count of rows, or the SQLSTATE of an error.
    enum Outcome: Equatable {
        case success(Int)
        case failure(String)
    }

    struct Failure: Error {
        let sqlState: String
        let message: String
        let detail: String?
        let context: String?

        var isRefusal: Bool { detail?.hasPrefix("PGM-") ?? false }
    }

    let router: PGClient
    let plain: PGClient

    static func connect(_ dsn: String) async throws -> PGClient {
        try await PGClient.connect(to: try PostgresEndpoint.parse(dsn), on: MultiThreadedEventLoopGroup.singleton)
    }

    func execute(_ sql: String) async throws {
        try await plain.execute(sql)
        try await router.execute(sql)
    }

    func empty(_ table: String) async throws { try await execute("TRUNCATE \(table)") }

    // MARK: In

    /// The outcome, which has to be the same on both.
    func copyIn(_ sql: String, _ data: String, _ location: SourceLocation = #_sourceLocation) async throws -> Outcome {
        try await copyIn(sql, ByteBuffer(string: data), location)
    }

    func copyIn(
        _ sql: String, _ data: ByteBuffer, into clients: [PGClient]? = nil, _ location: SourceLocation = #_sourceLocation
    ) async throws -> Outcome {
        var outcomes: [Outcome] = []
        for client in clients ?? [plain, router] {
            switch try await Self.copyIn(client, sql, data) {
            case .success(let count): outcomes.append(.success(count))
            case .failure(let failure): outcomes.append(.failure(failure.sqlState))
            }
        }
        #expect(outcomes.allSatisfy { $0 == outcomes[0] }, "\(sql): \(outcomes)", sourceLocation: location)
        return outcomes[0]
    }

    /// Data that may be wrong in any way: an error of the plain server's is one of the router's, and the other way round, but for refusals.
    func compareIn(_ sql: String, _ data: ByteBuffer) async throws {
        let shown = "\(sql) \(String(decoding: data.readableBytesView, as: UTF8.self).debugDescription) \(Array(data.readableBytesView))"
        let found = try await Self.copyIn(router, sql, data)
        if case .failure(let failure) = found, failure.isRefusal { return }
        let expected = try await Self.copyIn(plain, sql, data)
        switch (expected, found) {
        case (.success(let expected), .success(let found)): #expect(expected == found, "\(shown)")
        case (.failure(let expected), .failure(let found)):
            // Of several errors, one PostgreSQL finds the first; here a shard may be behind.
            let isTheSame = expected.sqlState == found.sqlState
            let isOfTheData = found.sqlState.hasPrefix("22") || ["08P01", "23502"].contains(found.sqlState)
            #expect(isTheSame || isOfTheData, "\(shown): \(found) instead of \(expected)")
        default: Issue.record("\(shown): \(found) instead of \(expected)")
        }
    }

    private static func copyIn(_ client: PGClient, _ sql: String, _ data: ByteBuffer) async throws -> Result<Int, Failure> {
        try await outcome {
            try await client.copyIn(sql, from: AsyncStream { continuation in
                var rest = data
                // Pieces whose borders lie anywhere.
                while let piece = rest.readSlice(length: min(rest.readableBytes, 37)), piece.readableBytes > 0 { continuation.yield(piece) }
                continuation.finish()
            })
        }
    }

    // MARK: Out

    /// The same messages in whatever order, the same count, or the same error.
    func compareOut(_ sql: String, _ location: SourceLocation = #_sourceLocation) async throws {
        let (expected, found) = (try await Self.messages(plain, sql), try await Self.messages(router, sql))
        switch (expected, found) {
        case (.success(let expected), .success(let found)):
            #expect(found.count == expected.count, "\(sql)", sourceLocation: location)
            #expect(found.messages.sorted() == expected.messages.sorted(), "\(sql)", sourceLocation: location)
            // A line of column names, and the binary form's header, come first.
            if sql.contains("HEADER") { #expect(found.messages.first == expected.messages.first, sourceLocation: location) }
        case (.failure(let expected), .failure(let found)): #expect(found.sqlState == expected.sqlState, "\(sql)", sourceLocation: location)
        default: Issue.record("\(sql): \(found) instead of \(expected)", sourceLocation: location)
        }
    }

    static func copyOut(_ client: PGClient, _ sql: String) async throws -> Result<ByteBuffer, Failure> {
        try await messages(client, sql).map { ByteBuffer(bytes: Array($0.messages.joined())) }
    }

    private static func messages(_ client: PGClient, _ sql: String) async throws -> Result<(count: Int, messages: [Bytes]), Failure> {
        let collected = Collector()
        return try await outcome {
            let count = try await client.copyOut(sql) { chunk in await collected.add(Bytes(bytes: Array(chunk.readableBytesView))) }
            var messages = await collected.messages
            if sql.lowercased().contains("binary"), let first = messages.first {
                // PostgreSQL sends the header together with the first row.
                let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00]
                try #require(first.bytes.starts(with: signature))
                try #require(Array(messages.last?.bytes.suffix(2) ?? []) == [UInt8](repeating: 0xff, count: 2))
                messages[0] = Bytes(bytes: Array(first.bytes.dropFirst(19)))
                messages = [Bytes(bytes: Array(first.bytes.prefix(19)))] + messages
                // The trailer stands alone, but where there is no row.
                messages = messages.filter { !$0.bytes.isEmpty && $0.bytes != [0xff, 0xff] } + [Bytes(bytes: [0xff, 0xff])]
            }
            return (count, messages)
        }
    }

    private static func outcome<Value>(_ body: () async throws -> Value) async throws -> Result<Value, Failure> {
        do {
            return .success(try await body())
        } catch let error as PGClientError {
            guard let error = error.serverError else { throw error }
            return .failure(Failure(sqlState: error.sqlState.code, message: error.message, detail: error[.detail], context: error[.context]))
        }
    }
}

struct Bytes: Comparable, Sequence {
    let bytes: [UInt8]
    static func < (a: Bytes, b: Bytes) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
    func makeIterator() -> [UInt8].Iterator { bytes.makeIterator() }
}

private actor Collector {
    var messages: [Bytes] = []
    func add(_ message: Bytes) { messages.append(message) }
}
