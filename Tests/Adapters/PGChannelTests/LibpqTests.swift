import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import PGChannel
import PGTestServer
import PGWire
import PostgresProcess
import Testing

/// The server's side of the codecs against libpq: psql logs in and works on a server made of PGWire.
@Suite struct LibpqTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    /// psql's standard output and error, and its status.
    private func psql(_ server: PGTestServer, _ sql: [String], password: String? = "pencil", sslmode: String = "disable", _ more: [String: String] = [:]) async throws -> CommandResult {
        let installation = try PostgresInstallation.find()
        var environment = [
            "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "PGCONNECT_TIMEOUT": "120", "PGSSLMODE": sslmode, "PGHOST": "localhost",
            "PGHOSTADDR": "127.0.0.1", "PGPORT": String(server.port), "PGUSER": "alice", "PGDATABASE": "shop",
        ]
        if let password { environment["PGPASSWORD"] = password }
        environment.merge(more) { $1 }
        let arguments = ["-X", "-w", "-A", "-t"] + sql.flatMap { ["-c", $0] }
        return try await SupervisedProcess.run(.init(installation.path(of: "psql"), arguments, environment: environment))
    }

    private func withServer<Value>(_ change: (inout PGTestServer.Configuration) -> Void, _ body: (PGTestServer) async throws -> Value) async throws -> Value {
        var configuration = PGTestServer.Configuration()
        configuration.answer = { sql in
            switch sql {
            case "rows": .rows(columns: ["a", "b"], rows: [["1", nil], ["zwei", "drei"]])
            case "error": .error(ServerError(sqlState: .featureNotSupported, message: "not here", detail: "PGM-TEST", hint: "elsewhere", position: 2))
            case "notice": .notice(ServerError(severity: .notice, sqlState: .successfulCompletion, message: "heed"), then: .command("DO"))
            case "copy out": .copyOut(["1\tone", "2\ttwo"])
            default: .command("DONE")
            }
        }
        change(&configuration)
        let server = try await PGTestServer.start(configuration, on: group)
        do {
            let value = try await body(server)
            await server.stop()
            return value
        } catch {
            await server.stop()
            throw error
        }
    }

    @Test(arguments: [PGTestServer.Authentication.trust, .cleartext(password: "pencil"), .md5(password: "pencil"), .scram(password: "pencil")])
    func libpqLogsInByEachMethodAndReadsEveryKindOfAnswer(_ method: PGTestServer.Authentication) async throws {
        try await withServer({ $0.authentication = method }) { server in
            let result = try await psql(server, ["rows", "notice", "copy out", "error"])
            #expect(result.output == "1|\nzwei|drei\nDO\n1\tone\n2\ttwo\n")
            #expect(result.errors.contains("NOTICE:  heed"))
            for part in ["ERROR:  not here", "DETAIL:  PGM-TEST", "HINT:  elsewhere", "LINE 1: error"] { #expect(result.errors.contains(part), "\(result.errors)") }
            #expect(result.status != 0)
        }
    }

    @Test(arguments: [PGTestServer.Authentication.cleartext(password: "other"), .md5(password: "other"), .scram(password: "other")])
    func libpqIsToldOfAWrongPassword(_ method: PGTestServer.Authentication) async throws {
        try await withServer({ $0.authentication = method }) { server in
            let result = try await psql(server, ["rows"])
            #expect(result.status == 2)
            #expect(result.errors.contains("password authentication failed"))
        }
    }

    @Test func libpqProvesThatItChecksTheServersProof() async throws {
        // A proof that is missing altogether libpq 15 lets pass (later ones have require_auth for it); PGChannel does not.
        try await withServer({ $0.authentication = .scramWithFalseProof(password: "pencil") }) { server in
            let result = try await psql(server, ["rows"])
            #expect(result.status == 2)
        }
    }

    @Test func libpqSpeaksTLSWithACertificateThatItVerifies() async throws {
        try await withTemporaryFolder { folder in
            let files = try await TestCertificates.make(in: folder)
            let tls = try ServerTLS(certificateFile: files.certificate, keyFile: files.key).context
            try await withServer({
                $0.authentication = .scram(password: "pencil")
                $0.tls = tls
            }) { server in
                let right = try await psql(server, ["rows"], sslmode: "verify-full", ["PGSSLROOTCERT": files.authority])
                #expect(right.status == 0, "\(right.errors)")
                #expect(right.output.contains("zwei|drei"))
                let wrong = try await psql(server, ["rows"], sslmode: "verify-full", ["PGSSLROOTCERT": files.otherAuthority])
                #expect(wrong.status == 2)
            }
        }
    }

    @Test func libpqsSettingsArriveWithItsStartup() async throws {
        try await withServer({ _ in }) { server in
            _ = try await psql(server, ["rows"], ["PGOPTIONS": "-c work_mem=4MB", "PGTZ": "Asia/Tokyo", "PGAPPNAME": "häm"])
            guard case .startup(let startup) = server.events.first else {
                Issue.record("no startup")
                return
            }
            #expect(startup.user == "alice")
            #expect(startup.database == "shop")
            #expect(startup["options"] == "-c work_mem=4MB")
            #expect(Set(startup.settings.map { $0.name.lowercased() }).isSuperset(of: ["application_name", "timezone"]))
        }
    }
}
