import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// The calls of the manager's REST interface that set a cluster up.
package struct ManagerAPI: Sendable {
    package var baseURL: String
    /// Sent as a bearer token where there is one.
    package var token: String?

    package init(baseURL: String, token: String? = nil) {
        self.baseURL = baseURL
        self.token = token
    }

    /// Does not try a refused connection again: who waits for a server looks at its process in between. Lives as long as the process.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// The first administrator. Answers false when there is one already.
    package func setUp(_ administrator: ClusterPlan.Administrator) async throws(ClusterError) -> Bool {
        let answer = try await send(
            .POST, "/api/v1/auth/setup",
            ["username": administrator.username, "password": administrator.password])
        if answer.status == 409 || answer.status == 403 { return false }
        try check(answer, "POST auth/setup")
        return true
    }

    package func createDatabase(_ name: String) async throws(ClusterError) {
        try check(await send(.POST, "/api/v1/databases", ["name": name]), "POST databases")
    }

    package func createShard(id: String, database: String, endpoint: String, replicas: [String] = []) async throws(ClusterError) {
        let body = NewShard(id: id, name: id, database: database, primary_endpoint: endpoint, replicas: replicas)
        try check(await send(.POST, "/api/v1/shards", body), "POST shards")
    }

    private struct NewShard: Encodable {
        var id, name, database, primary_endpoint: String
        var replicas: [String]
    }

    /// Declares where a table lives; it need not exist yet. `shardKey` nil means reference.
    package func placeTable(_ name: String, database: String, shardKey: String?) async throws(ClusterError) {
        var body = ["name": "public.\(name)", "kind": shardKey == nil ? "reference" : "sharded"]
        body["shard_key"] = shardKey
        try check(await send(.POST, "/api/v1/databases/\(database)/tables", body), "POST databases/\(database)/tables")
    }

    /// An HTTP answer, its body cut at 64 KiB.
    package struct Answer: Sendable {
        package var status: Int
        package var body: String
    }

    package func get(_ path: String) async throws(ClusterError) -> Answer { try await send(.GET, path, nil as [String: String]?) }

    private func check(_ answer: Answer, _ call: String) throws(ClusterError) {
        guard (200..<300).contains(answer.status) else {
            throw .refused(call: call, status: answer.status, answer: answer.body)
        }
    }

    private func send(_ method: HTTPMethod, _ path: String, _ body: (some Encodable)?) async throws(ClusterError) -> Answer {
        var request = HTTPClientRequest(url: baseURL + path)
        request.method = method
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        do {
            if let body {
                request.headers.add(name: "content-type", value: "application/json")
                request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body)))
            }
            let response = try await Self.http.execute(request, timeout: .seconds(30))
            let bytes = try await response.body.collect(upTo: 64 << 10)
            return Answer(status: Int(response.status.code), body: String(buffer: bytes))
        } catch {
            throw .unreachable(call: "\(method.rawValue) \(path)", reason: "\(error)")
        }
    }
}
