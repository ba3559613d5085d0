import Foundation
import PostgresProcess
import Testing

@Suite struct ServerConfigurationTests {
    @Test(arguments: [
        (
            ["router"],
            "pgmosaic router: catalog (flag --catalog, variable PGMOSAIC_ROUTER_CATALOG): this setting has no default and must be given\n"
        ),
        (["router", "--log-levle", "debug"], "pgmosaic router: flag --log-levle: no such setting; did you mean --log-level?\n"),
        (["manager", "--wire-port", "1"], "pgmosaic manager: flag --wire-port: no such setting\n"),
        (["router", "--catalog", "nonsense"], "pgmosaic router: catalog: expected sqlite:PATH, postgres://USER@HOST:PORT/DATABASE?... or etcd://HOST:PORT,HOST:PORT?...\n"),
        (["router", "--catalog", "postgres://u:geheim@h"], "pgmosaic router: catalog: the URL must name a user and a database\n"),
        (["router", "--catalog", "postgres://u:ge/heim@h/d"], "pgmosaic router: catalog: a '/', '?' or '@' in the parts of a connection URL must be percent-encoded\n"),
        (["router", "--catalog=sqlite:c", "--loops=-1"], "pgmosaic router: flag --loops: expected an integer from 0 to 1024\n"),
        (["router", "--config", "/nonexistent.yaml"], "pgmosaic router: flag --config: there is no file /nonexistent.yaml\n"),
        (["router", "--config", "/etc"], "pgmosaic router: flag --config: /etc is a folder\n"),
        (["router", "stray"], "pgmosaic router: \"stray\": expected a flag such as --log-level\n"),
    ])
    func aWrongSettingIsOneLineAndStatus78(words: [String], message: String) async throws {
        let result = try await Program.run(words)
        #expect(result.status == 78 && result.complaint == message && result.output.isEmpty)
        #expect((result.errors != result.complaint) == words.contains { $0.contains(":ge") }, "\(result.errors)")
    }

    @Test func aWrongSettingOfAFileIsSaidWithItsLine() async throws {
        try await withTemporaryFolder { folder in
            let file = folder + "/r.yaml"
            try "catalog: sqlite:c\n\nwire: {prot: 5}\n".write(toFile: file, atomically: true, encoding: .utf8)
            let result = try await Program.run("router", "--config", file)
            #expect(result.status == 78 && result.errors == "pgmosaic router: \(file):3: wire.prot: no such setting; did you mean wire.port?\n")
        }
    }

    @Test func aWrongVariableIsSaid() async throws {
        let result = try await Program.run("manager", environment: ["PGMOSAIC_MANAGER_CATALOGUE": "sqlite:c"])
        #expect(
            result.status == 78
                && result.errors == "pgmosaic manager: variable PGMOSAIC_MANAGER_CATALOGUE: no such setting; did you mean PGMOSAIC_MANAGER_CATALOG?\n")
    }

    @Test func aCatalogThatCannotBeUsedIsStatus1AndTheLastLine() async throws {
        try await withTemporaryFolder { folder in
            for (words, reason) in [
                (["router", "--catalog", "sqlite:\(folder)/missing.sqlite"], "the catalog store cannot be used: "),
                (["manager", "--catalog", "sqlite:/etc/passwd"], "the catalog is not one of this version of PGMosaic: "),
            ] {
                let result = try await Program.run(words)
                let last = result.errors.split(separator: "\n").last ?? ""
                #expect(result.status == 1 && last.hasPrefix("pgmosaic \(words[0]): \(reason)"), "\(result.errors)")
            }
        }
    }
}
