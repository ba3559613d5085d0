import Foundation
@testable import PostgresProcess
import Testing

@Suite struct PostgresServerTests {
    @Test func aNewServerAnswersOverLoopbackWithTheSettingsThatShardsNeed() async throws {
        try await withTemporaryFolder { folder in
            let server = try await PostgresServer.create(PostgresServerOptions(dataDirectory: folder + "/data"))
            let answer = try await server.psql(
                "select current_setting('wal_level'), current_setting('listen_addresses'), current_setting('max_prepared_transactions')::int >= 100")
            #expect(answer == "logical|127.0.0.1|t")
            await server.stop()
        }
    }

    @Test func dataSurvivesARestartAndACrashOnTheSamePort() async throws {
        try await withTemporaryFolder { folder in
            let options = PostgresServerOptions(
                dataDirectory: folder + "/data", password: "a 'quoted' \\ secret", authentication: .scram, durability: .full)
            let server = try await PostgresServer.create(options)
            try await server.psql("create table t as select 1 as x")
            try await server.restart()
            try await server.psql("insert into t values (2)")
            await server.kill()
            #expect(await server.pid == nil)
            try await server.start()
            #expect(try await server.psql("select sum(x) from t") == "3")
            await server.stop()
        }
    }

    @Test func copiesOfOneTemplateAreServersOfTheirOwn() async throws {
        try await withTemporaryFolder { folder in
            var identifiers: Set<String> = []
            for name in ["original", "copy", "another"] {
                var options = PostgresServerOptions(dataDirectory: "\(folder)/\(name)", settings: ["synchronous_commit": "on"])
                options.templates = folder + "/templates"
                let server = try await PostgresServer.create(options)
                identifiers.insert(try await server.psql("SELECT system_identifier FROM pg_control_system()"))
                // The WAL that was there at the start is gone through again.
                try await server.psql("CREATE TABLE t AS SELECT 1 AS x")
                await server.kill()
                try await server.start()
                #expect(try await server.psql("SELECT x FROM t") == "1")
                await server.stop()
            }
            #expect(identifiers.count == 3)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/templates").count == 1)
        }
    }

    @Test func whatIsToLastAndWhatHasAPasswordIsNotCopied() throws {
        let installation = try PostgresInstallation.find()
        var options = PostgresServerOptions(dataDirectory: "/data")
        options.templates = "/templates"
        #expect(InitdbTemplate(options, installation) != nil)
        options.durability = .full
        #expect(InitdbTemplate(options, installation) == nil)
        options.durability = .none
        options.password = "x"
        #expect(InitdbTemplate(options, installation) == nil)
    }

    @Test func aPortThatIsTakenIsSaid() async throws {
        try await withTemporaryFolder { folder in
            let server = try await PostgresServer.create(PostgresServerOptions(dataDirectory: folder + "/a"))
            #expect(throws: PostgresProcessError.portTaken(server.port)) {
                try PostgresServer(PostgresServerOptions(dataDirectory: folder + "/b", port: server.port))
            }
            await server.stop()
        }
    }

    @Test func aFolderOfSomethingElseIsRefusedAndKept() async throws {
        try await withTemporaryFolder { folder in
            let data = folder + "/data"
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: URL(fileURLWithPath: data + "/letter.txt"))
            let server = try PostgresServer(PostgresServerOptions(dataDirectory: data))
            await #expect(throws: PostgresProcessError.folderUnusable(path: data, reason: "it holds something else than a PostgreSQL server")) {
                try await server.prepare()
            }
            #expect(FileManager.default.fileExists(atPath: data + "/letter.txt"))
        }
    }

    @Test func aFolderThatACrashLeftHalfMadeIsMadeAnew() async throws {
        try await withTemporaryFolder { folder in
            let data = folder + "/data"
            try FileManager.default.createDirectory(atPath: data + "/base", withIntermediateDirectories: true)
            let server = try await PostgresServer.create(PostgresServerOptions(dataDirectory: data))
            #expect(try await server.psql("select 1") == "1")
            await server.stop()
        }
    }

    @Test func aServerThatCannotStartSaysWhyInOneLine() async throws {
        try await withTemporaryFolder { folder in
            let options = PostgresServerOptions(dataDirectory: folder + "/data", settings: ["shared_buffers": "lots"])
            let server = try PostgresServer(options)
            try await server.prepare()
            do {
                try await server.start()
                Issue.record("it started")
            } catch let error as PostgresProcessError {
                let text = error.description
                #expect(text.hasPrefix("PostgreSQL did not start in \(folder)/data: ") && !text.contains("\n"))
            }
        }
    }

    @Test func aReplicaFollowsItsPrimary() async throws {
        try await withTemporaryFolder { folder in
            let primary = try await PostgresServer.create(PostgresServerOptions(dataDirectory: folder + "/primary"))
            try await primary.psql("create table t as select 7 as x")
            let replica = try await primary.createReplica(PostgresServerOptions(dataDirectory: folder + "/replica"), slot: "r1")
            #expect(try await replica.psql("select pg_is_in_recovery(), (select x from t)") == "t|7")
            await replica.stop()
            await primary.stop()
        }
    }

    @Test func missingProgramsAreNamed() {
        do {
            _ = try PostgresInstallation.find(roots: ["/nonexistent"], path: "/also/nonexistent")
            Issue.record("something was found")
        } catch {
            #expect(error == .binariesMissing(looked: ["/nonexistent/*/bin", "PATH"]))
        }
    }
}
