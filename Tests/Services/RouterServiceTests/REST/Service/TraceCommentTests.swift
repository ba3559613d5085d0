import ClusterTestKit
import ControlAPI
import RESTTestKit
import ServerConfig
import Testing

/// What the shards hear of a request's trace.
@Suite(.cluster(.commenting), .serialized) struct TraceCommentTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let own = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"

    /// A statement's text as its shard has it.
    private func text(of query: String, flags: String) async throws -> String {
        let answer = try await cluster.execute(query, headers: [("traceparent", "00-\(Self.trace)-b7ad6b7169203331-\(flags)")])
        try #require(answer.status == 200, "\(answer.text)")
        return try #require(answer.json?["rows"]?.arrayValue?.first?["query"]?.stringValue)
    }

    @Test(arguments: [own, own + ";", own + " -- mine"]) func aSampledTraceIsNamedBehindTheStatement(_ query: String) async throws {
        let text = try await text(of: query, flags: "01")
        let parts = try #require(text.firstMatch(of: /^([^\n]*)\n\/\*traceparent='00-(\w{32})-(\w{16})-01'\*\/$/)?.output, "\(text)")
        // The step is the router's.
        #expect(parts.1 == query && parts.2 == Self.trace && parts.3 != "b7ad6b7169203331")
    }

    @Test func anotherIsNot() async throws { #expect(try await text(of: Self.own, flags: "00") == Self.own) }

    @Test func whatNamesATraceItselfKeepsIt() async throws {
        let query = Self.own + " /*traceparent='00-11111111111111111111111111111111-2222222222222222-01'*/"
        #expect(try await text(of: query, flags: "01") == query)
    }
}

extension TestCluster.Options {
    fileprivate static var commenting: Self {
        var options = Self(shards: 1)
        options.router = { $0.restSQLComments = true }
        return options
    }
}
