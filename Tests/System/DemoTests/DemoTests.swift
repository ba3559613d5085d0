import ControlAPI
import Foundation
import PostgresProcess
import RESTTestKit
import Testing

/// The demo as a person runs it. One after the other: each is a whole cluster.
@Suite(.serialized, .timeLimit(.minutes(20))) struct DemoTests {
    @Test func aDetachedDemoServesStopsAndResumesWithItsData() async throws {
        try await withDemoFolder { demo in
            let start = try await demo.start(["--shards", "2", "--routers", "2", "--dataset", "shop"])
            #expect(start.status == 0 && start.output.contains("Three things to try:"), "\(start.output)\(start.errors)")
            let first = try demo.description()
            try await check(first)
            try await tryWhatItSuggests(start.output)
            let wire = try #require(first["dsn"] as? String)
            try await demo.psql(wire, "UPDATE customers SET name = 'Ada Lovelace' WHERE customer_id = 42")
            try await checkSplit(demo, first)

            #expect(try await demo.run(["status"]).status == 0)
            let second = try await demo.start([])
            #expect(second.status == 1 && second.errors.contains("a demo already runs in"))

            let stop = try await demo.run(["stop"])
            #expect(stop.status == 0)
            #expect(demo.commands == [], "nothing of the demo runs after stop")
            #expect(try demo.description()["ready"] as? Bool == false)

            let again = try await demo.start([])
            #expect(again.status == 0 && again.output.contains("resuming the demo"), "\(again.output)\(again.errors)")
            #expect(try demo.description()["dsn"] as? String == wire, "ports and passwords stay")
            #expect(try await demo.psql(wire, "SELECT name FROM customers WHERE customer_id = 42") == "Ada Lovelace")
            let other = try await demo.run(["stop"])
            #expect(other.status == 0)
            let reshaped = try await demo.start(["--shards", "3"])
            #expect(reshaped.status == 1 && reshaped.errors.contains("ended with status 1"))
            #expect(reshaped.output.contains("holds a demo with 2 shards and the data set shop"))
        }
    }

    @Test func aDemoWithReplicasReadsFromThemAlsoAfterAResume() async throws {
        try await withDemoFolder { demo in
            for words in [["--shards", "2", "--replicas", "1", "--dataset", "shop"], []] {
                let start = try await demo.start(words)
                #expect(start.status == 0, "\(start.output)\(start.errors)")
                let description = try demo.description()
                let shards = try #require(description["shards"] as? [[String: Any]])
                let replicas = shards.compactMap { ($0["replicas"] as? [[String: Any]])?.first }
                #expect(shards.count == 2 && replicas.count == 2)
                for replica in replicas {
                    let dsn = try #require(replica["dsn"] as? String)
                    #expect(try await Demo.psql(dsn, "SELECT pg_is_in_recovery()") == "t")
                    #expect(ProcessTree.isAlive(Int32(try #require(replica["pid"] as? Int))))
                    #expect(FileManager.default.fileExists(atPath: try #require(replica["data_dir"] as? String)))
                }
                let ports = Set(replicas.compactMap { $0["port"] as? Int })
                let wire = try #require(description["dsn"] as? String)
                let eventual = wire + "?options=-c%20pgmosaic.consistency%3Deventual"
                var port: Int?
                for _ in 0..<600 where !ports.contains(port ?? 0) {
                    port = Int(try await demo.psql(eventual, "SELECT inet_server_port() FROM customers WHERE customer_id = 42"))
                    try await Task.sleep(for: .milliseconds(100))
                }
                #expect(ports.contains(try #require(port)))
                let status = try await demo.run(["status"])
                #expect(status.status == 0 && status.output.contains("shard-1 replica 1  runs"), "\(status.output)")
                #expect(try await demo.run(["stop"]).status == 0)
                #expect(demo.commands == [], "nothing of the demo runs after stop")
            }
            let reshaped = try await demo.start(["--replicas", "2"])
            #expect(reshaped.status == 1 && reshaped.output.contains("2 shards of 1 replica each"), "\(reshaped.output)")
        }
    }

    @Test func aDemoThatIsKilledLeavesNoProcess() async throws {
        try await withDemoFolder { demo in
            let start = try await demo.start(["--shards", "1", "--dataset", "none"])
            #expect(start.status == 0, "\(start.output)\(start.errors)")
            let pid = try #require(try demo.description()["pid"] as? Int)
            #expect(demo.processes.count >= 4)
            kill(Int32(pid), SIGKILL)
            try await demo.waitUntilNothingRuns()
            #expect(demo.processes.isEmpty)
            #expect(try await demo.run(["status"]).status == 3)
        }
    }

    @Test func aFolderThatIsNotADemosIsLeftAlone() async throws {
        try await withDemoFolder { demo in
            let letter = demo.folder + "/letter.txt"
            try "Dear Ada".write(toFile: letter, atomically: true, encoding: .utf8)
            for words in [["run", "--detach"], ["run"]] {
                let result = try await demo.run(words)
                #expect(result.status == 1)
                #expect(result.errors == "pgmosaic demo: \(demo.folder) holds other files than a demo's; choose an empty or new folder for --dir\n")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: demo.folder) == ["letter.txt"])
            let file = try await Demo(folder: letter).run(["run"])
            #expect(file.status == 1 && file.errors == "pgmosaic demo: \(letter) is a file; --dir needs a folder\n")
            #expect(try String(contentsOfFile: letter, encoding: .utf8) == "Dear Ada")
            let none = try await demo.run(["status"])
            #expect(none.status == 3)
        }
    }

    @Test func aPortThatIsTakenIsOneLine() async throws {
        try await withDemoFolder { demo in
            let listener = try Listener()
            let result = try await demo.run(["run", "--wire-port", String(listener.port), "--router-port", "0", "--manager-port", "0"])
            #expect(result.status == 1)
            #expect(result.errors == "pgmosaic demo: port \(listener.port) is taken by another process; choose another port, or 0 for a free one\n")
            // A process that has ended is seen as such a moment later.
            try await demo.waitUntilNothingRuns()
            #expect(demo.processes.isEmpty)
        }
    }

    /// The lines to copy that call psql or curl, as a shell runs them.
    private func tryWhatItSuggests(_ output: String) async throws {
        let lines = output.split(separator: "\n").compactMap { line -> String? in
            let words = line.trimmingPrefix(while: { $0 == " " || $0.isNumber || $0 == "." })
            guard line.dropFirst(2).first?.isNumber == true, words.hasPrefix("psql ") || words.hasPrefix("curl ") else { return nil }
            return words.components(separatedBy: "   (")[0]
        }
        #expect(lines.count == 6, "\(output)")
        for line in lines {
            let result = try await SupervisedProcess.run(.init("/bin/sh", ["-c", line]), limit: .seconds(120))
            #expect(result.status == 0 && result.output.count > 20 && !result.output.contains("\"error\""), "\(line)\n\(result.lastLines)")
        }
    }

    /// Every field that docs/reference/demo-json.md promises, and that it is true.
    private func check(_ description: [String: Any]) async throws {
        #expect(description["ready"] as? Bool == true && description["database"] as? String == "shop")
        let admin = try #require(description["admin"] as? [String: String])
        #expect(admin["username"] == "admin" && admin["password"]?.count == 24)
        let routers = try #require(description["routers"] as? [[String: Any]])
        #expect(routers.map { $0["id"] as? String } == ["router-1", "router-2"])
        #expect(routers[0]["dsn"] as? String == description["dsn"] as? String)
        let managers = try #require(description["managers"] as? [[String: Any]])
        let shards = try #require(description["shards"] as? [[String: Any]])
        #expect(managers.count == 1 && shards.count == 2)
        for process in routers + managers + shards {
            let pid = try #require(process["pid"] as? Int)
            #expect(ProcessTree.isAlive(Int32(pid)))
        }
        var rows = 0
        for shard in shards {
            let dsn = try #require(shard["dsn"] as? String)
            let port = try #require(shard["port"] as? Int)
            let dataDirectory = try #require(shard["data_dir"] as? String)
            #expect(dsn.contains(":\(port)/") && (shard["replicas"] as? [Any])?.isEmpty == true)
            #expect(FileManager.default.fileExists(atPath: dataDirectory))
            rows += Int(try await Demo.psql(dsn, "SELECT count(*) FROM customers")) ?? 0
        }
        #expect(rows == 5_000)
        try await checkREST(routers.compactMap { $0["url"] as? String }, manager: try #require(managers[0]["url"] as? String))
        for router in routers {
            let dsn = try #require(router["dsn"] as? String)
            #expect(try await Demo.psql(dsn, "SELECT country_code FROM customers WHERE customer_id = 42") == "KR")
        }
    }

    /// What the demo proposes at its end: clients at work, and a shard that is split by hand.
    private func checkSplit(_ demo: Demo, _ description: [String: Any]) async throws {
        let managers = try #require(description["managers"] as? [[String: Any]])
        let url = ["--url", try #require(managers[0]["url"] as? String)]
        let spares = try #require(description["spares"] as? [[String: Any]])
        #expect(spares.map { $0["id"] as? String } == ["spare-1"])
        func reshard(_ words: [String]) async throws -> CommandResult {
            try await SupervisedProcess.run(.init(Demo.program, ["reshard"] + words + url), limit: .seconds(600))
        }
        async let load = demo.run(["load", "--seconds", "20"])
        let split = try await reshard(["split", "shard-1", "--to", "spare-1", "--watch"])
        #expect(split.status == 0 && split.output.contains("completed"), "\(split.output)\(split.errors)")
        let loaded = try await load
        #expect(loaded.status == 0 && loaded.output.contains(" 0 failed, the slowest took "), "\(loaded.output)\(loaded.errors)")
        let job = try #require(split.output.split(separator: " ").dropFirst().first)
        let finish = try await reshard(["finish", String(job)])
        #expect(finish.status == 0, "\(finish.output)\(finish.errors)")
        var isOver = false
        for _ in 0..<300 where !isOver {
            isOver = try await reshard(["show", String(job)]).output.contains("over")
            try await Task.sleep(for: .milliseconds(200))
        }
        #expect(isOver)
        var rows = 0
        for server in try #require(description["shards"] as? [[String: Any]]) + spares {
            let count = Int(try await Demo.psql(try #require(server["dsn"] as? String), "SELECT count(*) FROM customers")) ?? 0
            #expect(count > 0)
            rows += count
        }
        #expect(rows == 5_000)
    }

    private func checkREST(_ routers: [String], manager: String) async throws {
        #expect(routers.count == 2)
        let statement = #"{"query": "SELECT country_code FROM customers WHERE customer_id = $1", "params": [42]}"#
        for url in routers {
            let answer = try await RawHTTP.send(
                "POST", "/v1/execute", port: try port(of: url), headers: [("Content-Type", "application/json")], body: Array(statement.utf8))
            #expect(answer.status == 200 && answer.text.contains("KR"), "\(answer.text)")
        }
        let health = try await RawHTTP.send("GET", "/health", port: try port(of: manager))
        #expect(health.status == 200, "\(health.text)")
    }

    private func port(of url: String) throws -> Int {
        #expect(url.hasPrefix("http://127.0.0.1:"))
        return try #require(URL(string: url)?.port)
    }
}
