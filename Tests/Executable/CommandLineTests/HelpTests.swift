import ControlAPI
import PostgresProcess
import ServerConfig
import Testing

@Suite struct HelpTests {
    static let commands: [[String]] = [
        [], ["demo"], ["demo", "run"], ["demo", "status"], ["demo", "stop"], ["router"], ["manager"], ["route"], ["query"],
        ["databases"], ["databases", "list"], ["databases", "show"], ["databases", "create"], ["databases", "delete"],
        ["shards"], ["shards", "list"], ["shards", "show"], ["shards", "add"], ["shards", "remove"], ["shards", "status"],
        ["shards", "health"], ["shards", "stats"], ["tables"], ["tables", "list"], ["tables", "declare"], ["tables", "forget"],
        ["reshard"], ["reshard", "list"], ["reshard", "show"], ["reshard", "plan"], ["reshard", "split"], ["reshard", "merge"], ["reshard", "move"],
        ["reshard", "watch"], ["reshard", "cancel"], ["reshard", "resume"], ["reshard", "reverse"], ["reshard", "finish"],
        ["users"], ["users", "list"], ["users", "show"], ["users", "setup"], ["users", "add"], ["users", "change"],
        ["users", "revoke"], ["users", "remove"], ["login"], ["logout"], ["routers"], ["catalog"],
        ["catalog", "show"], ["catalog", "history"], ["catalog", "export"], ["catalog", "import"], ["catalog", "copy"], ["version"],
    ]

    @Test(arguments: commands) func everyCommandExplainsItself(words: [String]) async throws {
        let result = try await Program.run(words + ["--help"])
        #expect(result.status == 0 && result.errors.isEmpty)
        #expect(result.output.contains("OVERVIEW: ") && result.output.contains("USAGE: \((["pgmosaic"] + words).joined(separator: " "))"))
    }

    /// Groups, and what takes more than a name, teach by example.
    @Test(arguments: commands.filter { $0.count == 1 && $0 != ["version"] && $0 != ["routers"] } + [[], ["shards", "add"], ["tables", "declare"]])
    func helpShowsCommandsToCopy(words: [String]) async throws {
        let output = try await Program.run(words + ["--help"]).output
        #expect(output.contains("\n  \((["pgmosaic"] + words).joined(separator: " "))"))
    }

    @Test(arguments: ServerRole.allCases) func aServersHelpHasEverySettingOfTheCatalogue(role: ServerRole) async throws {
        let lines = try await Program.run(role.rawValue, "--help").output.split(separator: "\n")
        for setting in SettingsCatalogue.settings(of: role) {
            #expect(lines.contains { $0.hasPrefix("  \(setting.flag) (") }, "\(setting.flag)")
        }
        #expect(lines.allSatisfy { $0.count <= 100 })
    }

    @Test func everyCommandThatAsksAServerTakesJSON() async throws {
        let local: [[String]] = [
            [], ["demo"], ["demo", "run"], ["demo", "stop"], ["router"], ["manager"], ["databases"], ["shards"], ["reshard"], ["tables"], ["users"],
            ["catalog"], ["catalog", "export"], ["catalog", "import"], ["catalog", "copy"],
        ]
        for words in Self.commands where !local.contains(words) {
            #expect(try await Program.run(words + ["--help"]).output.contains("--json"), "\(words)")
        }
    }

    @Test func withoutACommandTheHelpIsShown() async throws {
        let result = try await Program.run([])
        #expect(result.status == 0 && result.output.hasPrefix("OVERVIEW: "))
    }

    @Test func theVersionIsTheBuilds() async throws {
        #expect(try await Program.run("version").output == "pgmosaic \(BuildVersion.current)\n")
        #expect(try await Program.run("--version").output == "\(BuildVersion.current)\n")
        #expect(try await Program.run("version", "--json").output == "{\"version\":\"\(BuildVersion.current)\"}\n")
    }
}
