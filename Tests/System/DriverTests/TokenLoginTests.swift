import CatalogStore
import ClusterTestKit
import ControlAPI
import Foundation
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// Tokens in the place of passwords, on the wire.
@Suite struct TokenLoginTests {
    private func withCluster(_ body: @Sendable (TestCluster) async throws -> Void) async throws {
        try await Certificates.with { files in
            try await files.makeAlone("router", newKey: ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], signature: ["-sha256"])
            for (name, content) in [("secret", TokenForge.secret), ("keys", Array(try TokenForge.keySet().utf8))] {
                _ = FileManager.default.createFile(atPath: "\(files.folder)/\(name)", contents: Data(content), attributes: [.posixPermissions: 0o600])
            }
            let folder = files.folder
            try await TestCluster.withLogin(
                ["kv": .sharded(key: "k")],
                router: {
                    $0.tlsMode = .allow
                    $0.tlsCertificateFile = folder + "/router.crt"
                    $0.tlsKeyFile = folder + "/router.key"
                    $0.auth.mode = .token
                    $0.auth.secret = "file:\(folder)/secret"
                    $0.auth.keySetFile = folder + "/keys"
                    $0.auth.keySetIssuer = "https://id.example"
                    $0.auth.leeway = .zero
                }, body)
        }
    }

    private func claims(_ changes: [String: JSONValue?] = [:], for lifetime: Int64 = 600) -> JSONValue {
        let now = Int64(Date().timeIntervalSince1970)
        return TokenForge.claims(["sub": "postgres", "iat": .integer(now), "exp": .integer(now + lifetime)].merging(changes) { $1 })
    }

    private func dsn(_ cluster: TestCluster, _ token: String, user: String = "postgres", tls: Bool = true, auth: String = "token", database: String = "shop") -> String {
        "host=127.0.0.1 port=\(cluster.wirePort) dbname=\(database) user=\(user) password=\(token) sslmode=\(tls ? "require" : "disable") options=-cpgmosaic.auth=\(auth)"
    }

    private func provider(_ changes: [String: JSONValue?] = [:]) -> JSONValue {
        claims(["iss": "https://id.example", "sub": "eve", "databases": ["shop": ["query:read"]]].merging(changes) { $1 })
    }

    @Test func aTokenIsTakenOverTLSForItsOwnUserOnly() async throws {
        try await withCluster { cluster in
            let token = TokenForge.hs256(claims())
            let entered = try await Psql.run(dsn(cluster, token), "SELECT current_setting('server_version') IS NOT NULL")
            #expect(entered.status == 0, "\(entered.errors)")
            for (what, dsn, code) in [
                ("in clear", dsn(cluster, token, tls: false), "encrypted connection only"), ("of another user", dsn(cluster, token, user: "ada"), "token authentication failed"),
                ("no token", dsn(cluster, Driver.password), "token authentication failed"),
                ("expired", dsn(cluster, TokenForge.hs256(claims(for: -1))), "token authentication failed"),
                ("of another secret", dsn(cluster, TokenForge.hs256(claims(), secret: Array(repeating: 1, count: 32))), "token authentication failed"),
                ("as a password", dsn(cluster, token, auth: "password"), "password authentication failed"), ("another way", dsn(cluster, token, auth: "trust"), "invalid value for parameter"),
                ("on the console", dsn(cluster, token, database: "pgmosaic"), "no tokens"),
                ("of a user that is none", dsn(cluster, TokenForge.hs256(claims(["sub": "ghost"])), user: "ghost"), "token authentication failed"),
            ] {
                let refused = try await Psql.run(dsn, "SELECT 1")
                #expect(refused.status == 2 && refused.errors.contains(code), "\(what): \(refused.errors)")
            }
            // Who does not say so is asked for a proof, as ever.
            #expect(try await Psql.run(dsn(cluster, Driver.password, auth: "password") + " require_auth=scram-sha-256", "SELECT 1").status != 1)
            #expect(try await Psql.run(Driver.dsn(port: cluster.wirePort), "SELECT 1").status == 0)
        }
    }

    @Test func aProvidersTokenOpensWhatItSaysAndNotWhatANamesakeMay() async throws {
        try await withCluster { cluster in
            #expect(try await Psql.run(Driver.dsn(port: cluster.wirePort), "CREATE TABLE kv (k bigint PRIMARY KEY, v text)").status == 0)
            let token = try TokenForge.es256(provider())
            #expect(try await Psql.run(dsn(cluster, token, user: "eve"), "SELECT v FROM kv WHERE k = 1").status == 0)
            let write = try await Psql.run(dsn(cluster, token, user: "eve"), "INSERT INTO kv VALUES (1, 'x')")
            #expect(write.status == 1 && write.errors.contains("read"), "\(write.errors)")
            // postgres is an administrator of the catalog's.
            let namesake = try await Psql.run(dsn(cluster, try TokenForge.es256(provider(["sub": "postgres"]))), "INSERT INTO kv VALUES (1, 'x')")
            #expect(namesake.status == 1, "\(namesake.errors)")
            let other = try await Psql.run(dsn(cluster, try TokenForge.es256(provider(["databases": ["other": ["query:write"]]])), user: "eve"), "SELECT 1")
            #expect(other.status == 2 && other.errors.contains("permission denied"), "\(other.errors)")
        }
    }

    private func connect(_ cluster: TestCluster, _ token: String) async throws -> PGClient {
        var options = PGClient.Options()
        options.overrides.parameters = [.init(name: "pgmosaic.auth", value: "token")]
        let endpoint = try PostgresEndpoint.parse("postgres://postgres:\(token)@127.0.0.1:\(cluster.wirePort)/shop?sslmode=require&connect_timeout=120")
        return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options)
    }

    private func expectEnd(_ client: PGClient, _ reason: String) async throws {
        try await eventually("the session has ended: \(reason)") {
            do {
                _ = try await client.query("SELECT 1")
                return false
            } catch { return true }
        }
    }

    @Test func theSessionOfATokenEndsWithIt() async throws {
        try await withCluster { cluster in
            // By its time, in an open transaction, too. Longer than a login takes on a busy machine.
            let short = try await connect(cluster, TokenForge.hs256(claims(for: 12)))
            _ = try await short.query("BEGIN")
            try await expectEnd(short, "expired")
            // By being made void, one and no other.
            let (first, second) = (try await connect(cluster, TokenForge.hs256(claims(["jti": "first"]))), try await connect(cluster, TokenForge.hs256(claims(["jti": "second"]))))
            _ = try await first.query("SELECT 1")
            var catalog = try await cluster.store.load()
            let entry: JSONValue = ["jti": "first", "until": .integer(Int64(Date().timeIntervalSince1970) + 1000)]
            let change = CatalogChange([.setSetting(name: "auth.revoked", value: JSONValue.array([entry]).text)], author: "test")
            _ = try await cluster.store.commit(change, expecting: catalog.epoch)
            try await expectEnd(first, "revoked")
            #expect(try await second.query("SELECT 1").rows.count == 1)
            // By a new password.
            catalog = try await cluster.store.load()
            var user = try #require(catalog.users["postgres"])
            user.tokensAfter = Date().timeIntervalSince1970 + 1
            _ = try await cluster.store.commit(CatalogChange([.putUser(user)], author: "test"), expecting: catalog.epoch)
            try await expectEnd(second, "a new password")
            #expect(try await Psql.run(Driver.dsn(port: cluster.wirePort), "SELECT 1").status == 0)
        }
    }
}
