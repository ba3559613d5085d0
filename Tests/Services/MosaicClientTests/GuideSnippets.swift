import Foundation
// snippet: import
import MosaicClient
// end
import Testing

// The code of docs/guide/smart-client.md: what stands between the marks is what the page shows, and a test keeps the two equal. It only has to compile.

private func start() async throws {
    // snippet: start
    var configuration = MosaicConfiguration(
        catalog: .managers(["https://manager-1:8081", "https://manager-2:8081"], token: { try await currentToken() }, authority: "/etc/pgmosaic/ca.pem"),
        login: .init(user: "app", password: try password()))
    configuration.routers = ["postgres://app@router-1:6432?sslmode=verify-full", "postgres://app@router-2:6432?sslmode=verify-full"]
    configuration.snapshotFile = "/var/lib/app/pgmosaic-catalog"

    let client = try await MosaicClient.start(configuration)
    // … for as long as the program runs …
    await client.shutDown()
    // end
}

private func query(_ client: MosaicClient, customer: Int) async throws {
    // snippet: query
    let orders = try await client.query(
        on: .key("shop", customer), "SELECT id, total FROM orders WHERE customer_id = $1 AND total > $2", [.int(customer), 100])
    for order in orders {
        let (id, total) = try order.decode((Int, Decimal).self)
        print("\(id): \(total)")
    }
    // end
}

private func write(_ client: MosaicClient, customer: Int) async throws {
    // snippet: transaction
    let left = try await client.transaction(on: .key("shop", customer)) { tx in
        try await tx.query("INSERT INTO orders (customer_id, total) VALUES ($1, $2)", [.int(customer), 19.90])
        return try await tx.query("UPDATE customers SET credit = credit - 19.90 WHERE id = $1 RETURNING credit", [.int(customer)])
            .first?.decode(Decimal.self, "credit")
    }
    // end
    _ = left
}

private func eventual(_ client: MosaicClient, customer: Int) async throws {
    // snippet: eventual
    let name = try await client.query(
        on: .key("shop", customer), "SELECT name FROM customers WHERE id = $1", [.int(customer)], consistency: .eventual)
    // end
    _ = name
}

private func scatter(_ client: MosaicClient) async throws {
    // snippet: scatter
    for answer in try await client.scatter("shop", "SELECT count(*) FROM orders WHERE total > 100") {
        switch answer.result {
        case .success(let rows): print(answer.shard, try rows.first?.decode(Int.self, at: 0) ?? 0)
        case .failure(let error): print(answer.shard, error)
        }
    }
    // end
}

private func router(_ client: MosaicClient) async throws {
    // snippet: router
    let shop = try client.router("shop")
    let best = try await shop.query("SELECT customer_id, sum(total) FROM orders GROUP BY customer_id")
    try await shop.transaction { tx in
        try await tx.query("UPDATE customers SET credit = credit - 5 WHERE id = $1", [1])
        try await tx.query("UPDATE customers SET credit = credit + 5 WHERE id = $1", [2])
    }
    // end
    _ = best
}

private func errors(_ client: MosaicClient, customer: Int) async throws {
    // snippet: errors
    do {
        try await client.query(on: .key("shop", customer), "UPDATE customers SET name = $2 WHERE id = $1", [.int(customer), "Ada"])
    } catch let error as MosaicError where error.isSafeToRetry {
        // Nothing ran: the same call may be made again.
    } catch let error as MosaicError where error.execution == .unknown {
        // It may have run: look before it is done again.
    }
    // end
}

// snippet: decodable
enum Colour: String, MosaicDecodable {
    case red, green, blue

    init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        guard let text, let colour = Colour(rawValue: text) else { throw MosaicDecodingFailure("is no") }
        self = colour
    }
}
// end

private func currentToken() async throws -> String { "" }
private func password() throws -> String { "" }

@Suite struct GuideSnippetTests {
    @Test func everyBlockOfThePageIsCodeThatCompiles() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let page = try String(contentsOf: root.appending(path: "docs/guide/smart-client.md"), encoding: .utf8)
        let source = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
        let shown = page.matches(of: /```swift\n(?<code>(?s:.*?))```/).map { Self.unindented(String($0.output.code)) }
        let compiled = source.matches(of: /(?m)^ *\/\/ snippet: [a-z]+\n(?<code>(?s:.*?))^ *\/\/ end$/).map { Self.unindented(String($0.output.code)) }
        #expect(shown.count >= 9)
        #expect(Set(shown) == Set(compiled))
    }

    private static func unindented(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let indent = lines.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        return lines.map { String($0.dropFirst(indent)) }.joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
