import Foundation
import PostgresProcess
import Testing

/// The commands against a manager that runs.
@Suite struct ManagerClientTests {
    private func withManager(_ body: (_ run: ([String]) async throws -> CommandResult) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let port = try LoopbackPort.free()
            let words = ["manager", "--catalog", "sqlite:\(folder)/c.sqlite", "--secrets-key-file", folder + "/key", "--http-port", String(port), "--http-auth", "none", "--leader-wait", "60s"]
            let manager = try SupervisedProcess.start(.init(Program.path, words, output: .file(folder + "/log")))
            let run: ([String]) async throws -> CommandResult = { words in
                try await Program.run(words, input: "correct horse battery\n", environment: ["PGMOSAIC_URL": "http://127.0.0.1:\(port)"])
            }
            do {
                try await Program.wait { try await run(["databases"]).status == 0 }
                try await body(run)
            } catch {
                await manager.terminate()
                throw error
            }
            #expect(await manager.terminate(grace: .seconds(60)) == 0, "SIGTERM ends a manager in order")
        }
    }

    @Test func aDatabaseWithItsTablesIsMadeShownAndRemoved() async throws {
        try await withManager { run in
            #expect(try await run(["databases"]).output == "no databases; make one with: pgmosaic databases create NAME\n")
            #expect(try await run(["databases", "create", "shop", "--key-column", "tenant_id"]).status == 0)
            let declared = try await run(["tables", "declare", "orders", "--sharded-by", "customer_id"])
            #expect(declared.output == "public.orders in shop is sharded by customer_id\n")
            #expect(try await run(["tables", "declare", "countries", "--reference", "--database", "shop"]).status == 0)
            let table = try await run(["tables", "list"]).output
            #expect(table.contains("public.orders     sharded    customer_id") && table.contains("public.countries  reference"))
            let json = try JSONSerialization.jsonObject(with: Data(try await run(["databases", "show", "shop", "--json"]).output.utf8)) as? [String: Any]
            #expect(json?["table_count"] as? Int == 2 && json?["key_column_rules"] as? [String] == ["tenant_id"])
            #expect(try await run(["catalog"]).output.contains("database shop"))
            #expect(try await run(["tables", "forget", "public.countries"]).output == "forgot public.countries in shop\n")
            #expect(try await run(["databases", "delete", "shop", "--if-version", "99"]).status == 1)
            #expect(try await run(["databases", "delete", "shop"]).output == "removed database shop\n")
        }
    }

    @Test func aRefusalIsOneLineWithItsCodeAndWithJSONTheServersOwn() async throws {
        try await withManager { run in
            let plain = try await run(["databases", "show", "nope"])
            #expect(plain.status == 1 && plain.output.isEmpty)
            #expect(plain.errors == "pgmosaic databases show: there is no database of that name (DATABASE_NOT_FOUND)\n")
            let json = try await run(["databases", "show", "nope", "--json"])
            #expect(json.status == 1 && json.output.isEmpty && json.errors.hasPrefix("{\"error\":{\"code\":\"DATABASE_NOT_FOUND\""))
            // A manager where a router is wanted.
            let wrong = try await run(["query", "SELECT 1"])
            #expect(wrong.status == 1 && wrong.errors.contains("is it a router?") && !wrong.errors.dropLast().contains("\n"))
        }
    }

    @Test func usersComeFromAPasswordThatIsNotOnTheCommandLine() async throws {
        try await withManager { run in
            let made = try await run(["users", "setup", "ada"])
            #expect(made.output == "made ada, an administrator\n")
            #expect(try await run(["users", "setup", "eve"]).errors.contains("SETUP_ALREADY_DONE"))
            #expect(try await run(["users", "add", "app", "--role", "viewer", "--database", "shop"]).output == "made user app\n")
            #expect(try await run(["users"]).output == "NAME  ROLES   DATABASES\nada   admin   all\napp   viewer  shop\n")
            #expect(try await run(["users", "remove", "ada"]).errors.contains("LAST_ADMINISTRATOR"))
        }
    }

    @Test func aServerThatDoesNotAnswerIsStatus69AndOneLine() async throws {
        let port = try LoopbackPort.free()
        let result = try await Program.run("shards", "--url", "http://127.0.0.1:\(port)")
        #expect(result.status == 69)
        #expect(
            result.errors == "pgmosaic shards list: the manager at http://127.0.0.1:\(port) does not answer: connection refused; "
                + "give its address with --url or PGMOSAIC_MANAGER_URL\n")
    }
}
