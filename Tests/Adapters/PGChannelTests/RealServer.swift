import Foundation
import NIOCore
import NIOPosix
import PGChannel
import PostgresProcess
import Testing

/// A PostgreSQL server of the tests' own: TLS with a certificate of `localhost`, and a user for each way to log in.
struct RealServer: Sendable {
    let server: PostgresServer
    let certificates: TestCertificates

    @TaskLocal private static var running: RealServer?

    static var current: RealServer {
        get throws { try #require(running, "the suite lacks its trait") }
    }

    private static let access = """
        hostnossl all needs_tls 127.0.0.1/32 reject
        hostssl all no_tls 127.0.0.1/32 reject
        host all scram_user,mapped_user,raw_user,needs_tls 127.0.0.1/32 scram-sha-256
        host all md5_user 127.0.0.1/32 md5
        host all plain_user 127.0.0.1/32 password
        host all,replication postgres,no_tls,limited 127.0.0.1/32 trust
        local all all scram-sha-256

        """

    private static let users = """
        CREATE ROLE scram_user LOGIN PASSWORD 'pencil';
        CREATE ROLE needs_tls LOGIN PASSWORD 'pencil';
        CREATE ROLE plain_user LOGIN PASSWORD 'pencil';
        CREATE ROLE no_tls LOGIN;
        CREATE ROLE limited LOGIN CONNECTION LIMIT 0;
        CREATE ROLE mapped_user LOGIN PASSWORD U&'\\2168\\00AD\\00A0\\043F';
        CREATE ROLE raw_user LOGIN PASSWORD U&'\\2168\\+01F511';
        SET password_encryption = 'md5';
        CREATE ROLE md5_user LOGIN PASSWORD 'pencil';
        """

    fileprivate static func run(in folder: String, _ body: @Sendable () async throws -> Void) async throws {
        let certificates = try await TestCertificates.make(in: folder)
        let data = folder + "/data"
        let server = try PostgresServer(
            PostgresServerOptions(
                dataDirectory: data,
                settings: [
                    "ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "unix_socket_directories": data,
                ]))
        try await server.prepare()
        let owner = try FileManager.default.attributesOfItem(atPath: data)[.ownerAccountID] as? UInt32 ?? 0
        for (name, file) in [("server.crt", certificates.certificate), ("server.key", certificates.key)] {
            try FileManager.default.copyItem(atPath: file, toPath: data + "/" + name)
            chmod(data + "/" + name, 0o600)
            chown(data + "/" + name, owner, gid_t.max)
        }
        try access.write(toFile: data + "/pg_hba.conf", atomically: false, encoding: .utf8)
        try await server.start()
        do {
            try await server.psql(users)
            try await $running.withValue(RealServer(server: server, certificates: certificates)) { try await body() }
        } catch {
            await server.stop(.immediate)
            throw error
        }
        await server.stop(.immediate)
    }

    func endpoint(
        user: String = "postgres", password: String? = nil, host: String = "127.0.0.1", tls: PostgresEndpoint.TLSMode = .disable, root: String? = nil
    ) -> PostgresEndpoint {
        var endpoint = PostgresEndpoint(address: .tcp(host: host, port: server.port), user: user, database: "postgres")
        if let password { endpoint.password = .literal(password) }
        endpoint.tlsMode = tls
        endpoint.rootCertificate = root
        // A hundred tests log in at the same time.
        endpoint.connectTimeout = .seconds(120)
        return endpoint
    }

    func client(_ options: PGClient.Options = .init(), tls: PostgresEndpoint.TLSMode = .disable) async throws -> PGClient {
        try await PGClient.connect(to: endpoint(tls: tls), on: MultiThreadedEventLoopGroup.singleton, options: options)
    }

    /// Waits until the session's statement is under way: a cancel request that came before it would do nothing.
    func waitUntilRunning(_ client: PGClient) async throws {
        try await Self.withClient { other in
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
            while try await other.query(sql, [.integer(client.processID)]).rows.first?.integer(0) != 1 {}
        }
    }

    /// With a client that is closed afterwards.
    static func withClient<Value>(_ body: (PGClient) async throws -> Value) async throws -> Value {
        let client = try await current.client()
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }
}

/// One real server for all tests of a suite and of the suites in it.
struct RealServerTrait: SuiteTrait, TestScoping {
    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await withTemporaryFolder { folder in try await RealServer.run(in: folder, function) }
    }
}

extension SuiteTrait where Self == RealServerTrait {
    static var realServer: RealServerTrait { RealServerTrait() }
}

/// The tests against a real PostgreSQL, in files of their own.
@Suite(.realServer) struct RealServerTests {}
