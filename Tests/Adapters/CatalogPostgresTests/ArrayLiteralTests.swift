@testable import CatalogPostgres
import NIOPosix
import PGChannel
import Testing

@Suite(.catalogServer) struct ArrayLiteralTests {
    @Test func everyElementComesBackAsItWas() async throws {
        let elements: [String?] = [
            "", " ", "a", "NULL", nil, "null", "{", "}", ",", "\"", "\\", "\\\"", "a\\b\"c", "{\"a\",\"b\"}", "ü", "日本語", "\n\t\r", "\u{1}", "e\u{301}", "'",
        ]
        let server = try await CatalogServer.current.withDatabase()
        let client = try await PGClient.connect(to: try server.endpoint(), on: MultiThreadedEventLoopGroup.singleton)
        let rows = try await client.query("SELECT unnest($1::text[])", [.text(ArrayLiteral.text(elements))]).rows
        #expect(rows.map { $0.text(0) } == elements)
        let none = try await client.query("SELECT unnest($1::text[])", [.text(ArrayLiteral.text([]))])
        #expect(none.rows.isEmpty)
        let bytes = (0...255).map { UInt8($0) }
        let stored = try await client.query("SELECT ($1::bytea[])[1] = decode($2, 'hex')", [
            .text(ArrayLiteral.text([ArrayLiteral.hex(bytes)])), .text(String(ArrayLiteral.hex(bytes).dropFirst(2))),
        ])
        #expect(stored.rows.first?.bool(0) == true)
        await client.close()
    }
}
