import CatalogStore
import ClusterTestKit
import ControlAPI
import Foundation
import PostgresProcess
import RESTTestKit
import Synchronization
import Testing

/// A manager did not stay up.
struct ManagerEnded: Error {
    var status: Int32
    var log: String
}

/// Several managers, each a process of its own, on one catalog.
final class Managers: Sendable {
    let ports: [Int]
    private let folder: String
    private let processes = Mutex<[Int: SupervisedProcess]>([:])

    private static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    /// Runs `body` with managers that are up, and ends them.
    ///
    /// - catalogs: the location of the catalog as each manager is to find it.
    static func with(catalogs: [String], settings: String = "", _ body: @Sendable (Managers) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-managers-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer {
            TestSecret.keepLogs(of: folder)
            try? FileManager.default.removeItem(atPath: folder)
        }
        let managers = try Managers(folder, catalogs, settings)
        let result: Result<Void, any Error>
        do {
            for index in catalogs.indices { try managers.start(index) }
            for index in catalogs.indices { try await managers.waitUntilReady(index) }
            _ = try await managers.leader()
            result = .success(try await body(managers))
        } catch {
            for index in catalogs.indices { print(managers.log(index).suffix(2000)) }
            result = .failure(error)
        }
        for index in catalogs.indices { await managers.kill(index) }
        try result.get()
    }

    private init(_ folder: String, _ catalogs: [String], _ settings: String) throws {
        self.folder = folder
        ports = try catalogs.map { _ in try LoopbackPort.free() }
        for (index, catalog) in catalogs.enumerated() {
            let text = "id: \"m\(index)\"\ncatalog: \"\(catalog)\"\nhttp: {port: \(ports[index]), auth: none}\n\(settings)\n"
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/m\(index).yaml"))
        }
    }

    func start(_ index: Int) throws {
        let process = try SupervisedProcess.start(
            .init(Self.program, ["manager", "--config", "\(folder)/m\(index).yaml"], output: .file("\(folder)/m\(index).log"), orphanSignal: "KILL"))
        processes.withLock { $0[index] = process }
    }

    func waitUntilReady(_ index: Int) async throws {
        let process = processes.withLock { $0[index] }
        try await eventually("manager \(index) is ready or has ended", within: .seconds(60)) {
            if process?.exitStatus != nil { return true }
            return try await self.get("/ready", from: index).status == 200
        }
        if let status = process?.exitStatus { throw ManagerEnded(status: status, log: log(index)) }
    }

    func signal(_ index: Int, _ number: Int32) { processes.withLock { $0[index] }?.signal(number) }

    /// Ends it as a crash would.
    func kill(_ index: Int) async {
        guard let process = processes.withLock({ $0.removeValue(forKey: index) }) else { return }
        process.signal(SIGKILL)
        process.signal(SIGCONT)
        await process.waitForExit()
    }

    /// As an operator would.
    func end(_ index: Int) async {
        guard let process = processes.withLock({ $0.removeValue(forKey: index) }) else { return }
        process.signal(SIGTERM)
        await process.waitForExit()
        #expect(process.exitStatus == 0, "manager \(index) did not end by itself: \(log(index).suffix(2000))")
    }

    func log(_ index: Int) -> String { (try? String(contentsOfFile: "\(folder)/m\(index).log", encoding: .utf8)) ?? "" }

    // MARK: requests

    func get(_ path: String, from index: Int) async throws -> HTTPAnswer { try await RawHTTP.send("GET", path, port: ports[index]) }

    func write(_ method: String = "POST", _ path: String, _ body: JSONValue, to index: Int, key: String? = nil) async throws -> HTTPAnswer {
        let headers = [("Content-Type", "application/json")] + (key.map { [("Idempotency-Key", $0)] } ?? [])
        return try await RawHTTP.send(method, path, port: ports[index], headers: headers, body: body.encoded())
    }

    /// Which of them says that it leads, as soon as one does.
    func leader(but old: Int? = nil) async throws -> Int {
        let found = Mutex<Int?>(nil)
        try await eventually("somebody leads", within: .seconds(60)) {
            for index in self.ports.indices where index != old {
                if (try? await self.get("/ready", from: index))?.json?["role"] == "leader" {
                    found.withLock { $0 = index }
                    return true
                }
            }
            return false
        }
        return try #require(found.withLock { $0 })
    }
}
