import Foundation
import PostgresProcess
import Testing

/// The commands against a manager that asks for tokens.
@Suite struct LoginCommandTests {
    private struct Setting {
        let folder: String
        let port: Int
        var tokenFile: String { folder + "/home/token" }

        func run(_ words: String..., token: String? = nil, url: String? = nil) async throws -> CommandResult {
            var environment = ["PGMOSAIC_URL": url ?? "http://127.0.0.1:\(port)", "PGMOSAIC_TOKEN_FILE": tokenFile]
            environment["PGMOSAIC_TOKEN"] = token
            return try await Program.run(words, input: "correct horse battery\n", environment: environment)
        }

        var savedToken: String { (try? String(contentsOfFile: tokenFile, encoding: .utf8).trimmingCharacters(in: .newlines)) ?? "" }
    }

    private func withManager(_ body: (Setting) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let setting = Setting(folder: folder, port: try LoopbackPort.free())
            let words = [
                "manager", "--catalog", "sqlite:\(folder)/c.sqlite", "--secrets-key-file", folder + "/key", "--http-port", String(setting.port),
                "--http-auth", "token", "--log-level", "trace", "--leader-wait", "60s",
            ]
            let manager = try SupervisedProcess.start(.init(Program.path, words, output: .file(folder + "/log")))
            do {
                try await Program.wait { try await setting.run("users", "setup", "ada").status != 69 }
                try await body(setting)
            } catch {
                await manager.terminate()
                throw error
            }
            #expect(await manager.terminate(grace: .seconds(60)) == 0)
        }
    }

    @Test func aLoginOpensTheCommandsAndALogoutClosesThem() async throws {
        try await withManager { setting in
            let closed = try await setting.run("databases")
            #expect(closed.status == 1 && closed.errors.contains("UNAUTHENTICATED") && closed.errors.contains("pgmosaic login"), "\(closed.errors)")
            let login = try await setting.run("login", "ada")
            #expect(login.status == 0 && login.output.hasPrefix("logged in as ada for 3600 seconds"), "\(login.errors)")
            let token = setting.savedToken
            #expect(token.split(separator: ".").count == 3)
            let mode = try FileManager.default.attributesOfItem(atPath: setting.tokenFile)[.posixPermissions] as? NSNumber
            #expect(mode?.intValue == 0o600)
            let json = try await setting.run("login", "ada", "--json")
            #expect(json.status == 0 && !json.output.contains(setting.savedToken) && !json.output.contains("\"token\""))

            #expect(try await setting.run("databases", "create", "shop").status == 0)
            #expect(try await setting.run("databases", token: "x.y.z").errors.contains("UNAUTHENTICATED"))
            #expect(try await setting.run("databases", token: token).status == 0)

            let last = setting.savedToken
            #expect(try await setting.run("logout").output == "logged out\n")
            #expect(!FileManager.default.fileExists(atPath: setting.tokenFile))
            #expect(try await setting.run("databases", token: last).errors.contains("UNAUTHENTICATED"))
            #expect(try await setting.run("databases", token: token).status == 0)
            #expect(try await setting.run("users", "revoke", "ada", token: token).status == 0)
            #expect(try await setting.run("databases", token: token).errors.contains("UNAUTHENTICATED"))

            let log = try String(contentsOfFile: setting.folder + "/log", encoding: .utf8)
            for secret in [token, last, "correct horse", "SCRAM-SHA"] { #expect(!log.contains(secret)) }
        }
    }

    @Test func aTokenIsNeitherReadFromAnOpenFileNorSentInTheClear() async throws {
        try await withManager { setting in
            #expect(try await setting.run("login", "ada").status == 0)
            let away = try await setting.run("databases", url: "http://192.0.2.1:9")
            #expect(away.status == 64 && away.errors.contains("use https://"), "\(away.errors)")
            let login = try await setting.run("login", "ada", url: "http://192.0.2.1:9")
            #expect(login.status == 64 && login.errors.contains("use https://"), "\(login.errors)")
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: setting.tokenFile)
            let open = try await setting.run("databases")
            #expect(open.status == 64 && open.errors.contains("0600"), "\(open.errors)")
        }
    }

    @Test(arguments: [
        (["manager", "--catalog=sqlite:c", "--http-host=0.0.0.0"], "http.host"), (["router", "--catalog=sqlite:c", "--http-host", "::"], "http.host"),
        (["router", "--catalog=sqlite:c", "--wire-host", "10.0.0.1"], "wire.host"), (["router", "--catalog=sqlite:c", "--wire-host=0.0.0.0", "--http-auth=token"], "wire.host"),
        (["manager", "--catalog=sqlite:c", "--http-host=example.org", "--http-auth=token"], "http.host"),
        (["manager", "--catalog=sqlite:c", "--http-host=127.0.0.1.evil.org"], "http.host"),
    ])
    func nothingListensBeyondLoopbackWithoutTLSAndAuthentication(_ words: [String], setting: String) async throws {
        let result = try await Program.run(words)
        #expect(result.status == 78 && result.errors.contains("\(setting): ") && result.errors.contains("beyond loopback"), "\(result.errors)")
    }

    /// The catalog cannot be opened: that far it comes.
    @Test(arguments: [["--insecure"], ["--insecure", "--log-level", "error"], ["--insecure=true"], ["--insecure", "true"]])
    func unlessSomebodySaysThatItIsMeant(_ words: [String]) async throws {
        let result = try await Program.run(["router", "--catalog=sqlite:/nonexistent/c", "--wire-host=0.0.0.0", "--http-host=0.0.0.0"] + words)
        #expect(result.status == 1 && result.errors.contains("catalog store"), "\(result.errors)")
    }

    @Test(arguments: [
        (["--auth-secret=plain-text-that-is-long-enough-to-be-one"], "auth.secret"), (["--auth-jwks-file=/x"], "auth.jwks_file"),
        (["--auth-jwks-file=/x", "--auth-jwks-issuer=pgmosaic"], "auth.jwks_issuer"), (["--auth-leeway=10m"], "auth-leeway"),
    ])
    func settingsThatWouldLetTheWrongOnesInAreRefused(_ words: [String], setting: String) async throws {
        let result = try await Program.run(["manager", "--catalog=sqlite:c"] + words)
        #expect(result.status == 78 && result.errors.contains(setting) && !result.errors.contains("plain-text"), "\(result.errors)")
    }
}
