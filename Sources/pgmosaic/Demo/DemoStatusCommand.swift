import ArgumentParser
import Foundation
import LocalCluster
import PostgresProcess

/// `pgmosaic demo status`: what of the demo runs. Exit status 0 when all of it does, 3 when the demo is not running, 1 otherwise.
struct DemoStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Say which processes of the demo run. Status 0: all; 1: some; 3: none.")

    @OptionGroup var folder: DemoFolderOption
    @Flag(help: "Print demo.json instead.") var json = false

    func run() async throws {
        try await DemoFolderOption.reportingErrors {
            let progress = Progress()
            let folder = folder.folder
            guard let holder = DemoLock.holder(of: folder) else {
                progress.line("not running: no demo runs in \(folder.path)")
                throw ExitCode(3)
            }
            guard let description = folder.readDescription(), description.ready else {
                progress.line("starting or stopping: process \(holder) works in \(folder.path)")
                throw ExitCode(1)
            }
            if json {
                progress.line(String(decoding: FileManager.default.contents(atPath: folder.description) ?? Data(), as: UTF8.self))
            }
            let lines = await lines(of: description)
            if !json {
                progress.line("running: process \(holder), database \(description.database ?? "")")
                for line in lines { progress.line("  " + line.text) }
            }
            if lines.contains(where: { !$0.good }) { throw ExitCode(1) }
        }
    }

    private func lines(of description: DemoDescription) async -> [(text: String, good: Bool)] {
        var lines: [(String, Bool)] = []
        for router in description.routers ?? [] { lines.append(await http(router.id, router.url, router.pid)) }
        for manager in description.managers ?? [] { lines.append(await http("manager", manager.url, manager.pid)) }
        for shard in (description.shards ?? []) + (description.spares ?? []) {
            let alive = ProcessTree.isAlive(shard.pid)
            lines.append(("\(shard.id)  \(alive ? "runs" : "DOWN")  127.0.0.1:\(shard.port)  pid \(shard.pid)", alive))
            for (index, replica) in shard.replicas.enumerated() {
                let alive = ProcessTree.isAlive(replica.pid)
                let name = "\(shard.id) replica \(index + 1)"
                lines.append(("\(name)  \(alive ? "runs" : "DOWN")  127.0.0.1:\(replica.port)  pid \(replica.pid)", alive))
            }
        }
        return lines
    }

    private func http(_ name: String, _ url: String, _ pid: Int32) async -> (String, Bool) {
        guard ProcessTree.isAlive(pid) else { return ("\(name)  DOWN  \(url)  pid \(pid)", false) }
        let ready = (try? await ManagerAPI(baseURL: url).get("/ready"))?.status == 200
        return ("\(name)  \(ready ? "ready" : "NOT READY")  \(url)  pid \(pid)", ready)
    }
}
