import CatalogStore
import ControlAPI
import Foundation
import Logging
import ManagerService
import PostgresProcess
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// Two managers in one process, of which the leader says of itself that it is where it is not.
@Suite struct LeaderAddressTests {
    private func settings(_ id: String, port: Int, url: String?) -> ManagerSettings {
        var settings = ManagerSettings.defaults(catalog: "memory")
        settings.id = id
        settings.httpPort = port
        settings.auth.mode = .none
        settings.leader.url = url
        settings.leader.wait = .seconds(5)
        // However busy the machine is, it is the first one that leads.
        settings.leader.lease = .seconds(60)
        return settings
    }

    /// What a follower answers to a write.
    private func refusal(of following: ManagerSettings, by leading: ManagerSettings) async throws -> (answer: HTTPAnswer, databases: Int) {
        let store = InMemoryCatalogStore()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try await withThrowingTaskGroup(of: Void.self) { [logger] group in
            group.addTask { try await ManagerServer.run(settings: leading, store: store, logger: logger) }
            defer { group.cancelAll() }
            while try await store.lease(LeaderElection.leaseName) == nil { try await Task.sleep(for: .milliseconds(20)) }
            group.addTask { try await ManagerServer.run(settings: following, store: store, logger: logger) }
            while try await !store.members().contains(where: { $0.id == following.id }) { try await Task.sleep(for: .milliseconds(20)) }
            let body = (["name": "app"] as JSONValue).encoded()
            let headers = [("Content-Type", "application/json")]
            let answer = try await RawHTTP.send("POST", "/api/v1/databases", port: following.httpPort, headers: headers, body: body)
            return (answer, try await store.load().databases.count)
        }
    }

    private func expect(_ refusal: (answer: HTTPAnswer, databases: Int), says words: [String]) {
        let error = refusal.answer.error
        #expect(error?.code == .noLeader && refusal.answer.headers["retry-after"] == "1" && refusal.databases == 0, "\(refusal.answer.text)")
        for word in words { #expect(error?.message.contains(word) == true, "\(refusal.answer.text)") }
    }

    /// As where all listen on 0.0.0.0, and none says where it is.
    @Test func aLeaderAtTheFollowersOwnAddressIsNamedWithTheSettingToMend() async throws {
        let url = "http://0.0.0.0:8081"
        let following = settings("follower", port: try LoopbackPort.free(), url: url)
        expect(try await refusal(of: following, by: settings("leader", port: 0, url: url)), says: ["leader leads", url, "leader.url"])
    }

    @Test func anAddressAtWhichAnotherOneAnswersIsNamedToo() async throws {
        let port = try LoopbackPort.free()
        let url = "http://localhost:\(port)"
        let following = settings("follower", port: port, url: "http://127.0.0.1:\(port)")
        expect(try await refusal(of: following, by: settings("leader", port: 0, url: url)), says: ["leader leads", url, "leader.url of leader"])
    }
}
