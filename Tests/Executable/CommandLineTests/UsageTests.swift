import PostgresProcess
import Testing

@Suite struct UsageTests {
    @Test(arguments: [
        (["nonsense"], "Unexpected argument 'nonsense'"),
        (["shards", "lst"], "Unexpected argument 'lst'"),
        (["shards", "list", "--databse", "x"], "Unknown option '--databse'"),
        (["shards", "show"], "Missing expected argument '<id>'"),
        (["demo", "--dataset", "moon"], "'moon' is invalid for '--dataset"),
        (["demo", "--shards", "many"], "'many' is invalid for '--shards"),
        (["tables", "declare", "t", "--reference", "--local"], "give one of --sharded-by COLUMN, --reference and --local"),
        (["query", "SELECT 1", "--max-rows", "0"], "--max-rows takes a number above 0"),
    ])
    func wordsThatMakeNoSenseAreStatus64AndSayWhich(words: [String], message: String) async throws {
        let result = try await Program.run(words)
        #expect(result.status == 64 && result.output.isEmpty)
        #expect(result.errors.hasPrefix("Error: ") && result.errors.contains(message) && result.errors.contains("Usage: pgmosaic"))
    }

    @Test(arguments: [
        (["demo", "--shards", "0", "--dir", "/nonexistent/x"], "pgmosaic demo: --shards takes 1 to 64\n"),
        (["demo", "--routers", "17", "--dir", "/nonexistent/x"], "pgmosaic demo: --routers takes 1 to 16\n"),
        (["demo", "--wire-port", "70000", "--dir", "/nonexistent/x"], "pgmosaic demo: --wire-port takes a port number, or 0 for a free one\n"),
        (["demo", "--dir", "/proc/x"], "pgmosaic demo: the folder /proc/x cannot be made; choose another --dir\n"),
        (["demo", "--dir", "/etc/passwd"], "pgmosaic demo: /etc/passwd is a file; --dir needs a folder\n"),
        (["demo", "--dir", "/etc"], "pgmosaic demo: /etc holds other files than a demo's; choose an empty or new folder for --dir\n"),
        (["demo", "--detach", "--dir", "/etc"], "pgmosaic demo: /etc holds other files than a demo's; choose an empty or new folder for --dir\n"),
    ])
    func aDemoThatCannotStartSaysWhyInOneLine(words: [String], message: String) async throws {
        let result = try await Program.run(words)
        #expect(result.status == 1 && result.errors == message)
    }

    @Test func stoppingAndAskingForADemoThatDoesNotRunSaysSo() async throws {
        try await withTemporaryFolder { folder in
            let status = try await Program.run("demo", "status", "--dir", folder)
            #expect(status.status == 3 && status.output == "not running: no demo runs in \(folder)\n")
            let stop = try await Program.run("demo", "stop", "--dir", folder)
            #expect(stop.status == 0 && stop.output == "no demo runs in \(folder)\n")
        }
    }
}
