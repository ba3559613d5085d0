import ClusterTestKit
import ControlAPI
import RESTTestKit
import Testing

/// The router's REST API as a client sees it.
extension TestCluster {
    func get(_ path: String) async throws -> HTTPAnswer { try await RawHTTP.send("GET", path, port: httpPort) }

    func post(_ path: String, _ body: JSONValue, headers: [(String, String)] = []) async throws -> HTTPAnswer {
        try await RawHTTP.send("POST", path, port: httpPort, headers: headers + [("Content-Type", "application/json")], body: body.encoded())
    }

    func execute(
        _ query: String, _ params: [JSONValue] = [], options: JSONValue = [:], headers: [(String, String)] = [], more: [JSONValue.Member] = []
    ) async throws -> HTTPAnswer {
        try await post(
            "/v1/execute",
            .object([.init("query", .string(query)), .init("params", .array(params)), .init("options", options)] + more), headers: headers)
    }

    /// The rows of a statement that must succeed.
    @discardableResult
    func rows(_ query: String, _ params: [JSONValue] = [], options: JSONValue = [:]) async throws -> JSONValue {
        let answer = try await execute(query, params, options: options)
        try #require(answer.status == 200, "\(query): \(answer.text)")
        return try #require(answer.json?["rows"])
    }

    /// The error of a statement that must fail.
    func failure(_ query: String, _ params: [JSONValue] = [], options: JSONValue = [:], more: [JSONValue.Member] = []) async throws -> APIError {
        let answer = try await execute(query, params, options: options, more: more)
        let error = try #require(answer.error, "\(query): \(answer.text)")
        #expect(answer.status == error.code.status)
        return error
    }
}

extension TestCluster {
    /// A statement whose answer is read as it comes. The answer must be a stream.
    func stream(_ query: String, _ params: [JSONValue] = [], options: JSONValue = [:], headers: [(String, String)] = []) async throws -> RawHTTPStream {
        try await RawHTTPStream.post(
            "/v1/execute", port: httpPort, headers: headers + [("Accept", "application/x-ndjson")],
            body: ["query": .string(query), "params": .array(params), "options": options])
    }

    /// All lines of a statement's stream.
    func lines(_ query: String, _ params: [JSONValue] = [], options: JSONValue = [:]) async throws -> [JSONValue] {
        try await stream(query, params, options: options).lines()
    }
}
