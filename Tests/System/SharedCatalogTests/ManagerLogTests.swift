import ClusterTestKit
import ControlAPI
import Foundation
import PostgresProcess
import RESTTestKit
import Testing

/// What managers write into their logs.
@Suite(.serialized) struct ManagerLogTests {
    private func withManagers(_ count: Int, _ settings: String = "", _ body: @Sendable (Managers) async throws -> Void) async throws {
        let file = NSTemporaryDirectory() + "pgmosaic-logs-\(UUID().uuidString).sqlite"
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file + suffix) } }
        try await Managers.with(catalogs: Array(repeating: "sqlite:\(file)", count: count), settings: settings, body)
    }

    /// Requests to a path of which a manager's log has a line.
    private func requests(_ managers: Managers, _ index: Int, _ path: String) -> [JSONValue] {
        managers.log(index).split(separator: "\n").compactMap { try? JSONParser.parse(Array($0.utf8)) }
            .filter { $0["msg"] == "request" && $0["fields"]?["path"]?.stringValue == path }
    }

    /// Neither passed on to the leader nor kept in the catalog: each process has levels of its own.
    @Test func aManagersLogLevelsAreItsOwnWhetherItLeadsOrNot() async throws {
        try await withManagers(2) { managers in
            let leader = try await managers.leader()
            let follower = 1 - leader
            let changed = try await managers.write("PATCH", "/api/v1/log-levels", ["subsystems": ["rest": "debug"]], to: follower, key: "once")
            #expect(changed.status == 200 && changed.json == ["level": "info", "subsystems": ["rest": "debug"]], "\(changed.text)")
            for index in [leader, follower] { #expect(try await managers.get("/api/v1/databases", from: index).status == 200) }
            try await eventually("the follower tells of the request") { !requests(managers, follower, "/api/v1/databases").isEmpty }
            #expect(requests(managers, follower, "/api/v1/databases").first?["fields"]?["subsystem"] == "rest")
            #expect(try await managers.get("/api/v1/log-levels", from: leader).json == ["level": "info", "subsystems": [:]])
            #expect(try await managers.write("PATCH", "/api/v1/log-levels", [:], to: leader).status == 200)
            try await eventually("the leader's log has come so far") { managers.log(leader).contains("Log levels changed") }
            #expect(requests(managers, leader, "/api/v1/databases").isEmpty)
        }
    }
}
