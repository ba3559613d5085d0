import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import Testing

/// libpq's own checks of TLS, channel binding and certificates, with psql.
@Suite struct TLSLoginTests {
    private func dsn(_ cluster: TestCluster, _ more: String, password: String? = Driver.password) -> String {
        "host=127.0.0.1 port=\(cluster.wirePort) dbname=\(TestCluster.database) user=postgres \(password.map { "password=\($0)" } ?? "") \(more)"
    }

    private func withCluster(
        _ mode: RouterSettings.TLSMode, certificate: String, key: String, auth: RouterSettings.TLSClientAuth = .password, authorities: String? = nil,
        _ body: @Sendable (TestCluster) async throws -> Void
    ) async throws {
        try await TestCluster.withLogin(
            [:],
            router: {
                $0.tlsMode = mode
                $0.tlsCertificateFile = certificate
                $0.tlsKeyFile = key
                $0.tlsClientAuth = auth
                $0.tlsClientCAFile = authorities
            }, waits: false, body)
    }

    /// Retried until the router knows the user.
    private func expectLogin(_ dsn: String, _ what: String) async throws {
        try await eventually("\(what): psql logs in") { try await Psql.run(dsn, "SELECT 1").output == "1\n" }
    }

    @Test(arguments: [
        (["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], ["-sha256"]), (["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"], ["-sha384"]),
        (["rsa:2048"], ["-sha512"]), (["rsa:2048"], ["-sha1"]),
        (["rsa:2048"], ["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"]),
    ])
    func theChannelIsBoundToEveryKindOfCertificate(newKey: [String], signature: [String]) async throws {
        try await Certificates.with { files in
            try await files.makeAlone("router", newKey: newKey, signature: signature)
            try await withCluster(.allow, certificate: files.certificate("router"), key: files.key("router")) { cluster in
                try await expectLogin(dsn(cluster, "sslmode=require channel_binding=require"), "\(signature)")
                try await expectLogin(dsn(cluster, "sslmode=require channel_binding=disable"), "\(signature) without binding")
                try await expectLogin(dsn(cluster, "sslmode=disable"), "without TLS")
                let wrong = try await Psql.run(dsn(cluster, "sslmode=require channel_binding=require", password: "wrong"), "SELECT 1")
                #expect(wrong.status == 2 && wrong.errors.contains("password authentication failed"))
                // Without TLS there is nothing to bind to.
                let plain = try await Psql.run(dsn(cluster, "sslmode=disable channel_binding=require"), "SELECT 1")
                #expect(plain.status == 2 && plain.errors.contains("channel binding"))
            }
        }
    }

    @Test func whoDoesNotEncryptIsRefusedWhereTLSIsRequired() async throws {
        try await Certificates.with { files in
            try await files.makeAuthority("ca")
            try await files.make("router", subject: "/CN=localhost", by: "ca")
            try await withCluster(.require, certificate: files.certificate("router"), key: files.key("router")) { cluster in
                try await expectLogin(dsn(cluster, "sslmode=verify-ca sslrootcert=\(files.authority("ca"))"), "verified")
                let plain = try await Psql.run(dsn(cluster, "sslmode=disable"), "SELECT 1")
                #expect(plain.status == 2 && plain.errors.contains("encrypted connections only"))
            }
        }
    }

    @Test(arguments: [RouterSettings.TLSClientAuth.certificate, .both])
    func aClientsCertificateMustBeItsOwnAndOfTheAuthority(_ auth: RouterSettings.TLSClientAuth) async throws {
        try await Certificates.with { files in
            for authority in ["ca", "other"] { try await files.makeAuthority(authority) }
            try await files.make("router", subject: "/CN=localhost", by: "ca")
            try await files.make("mine", subject: "/O=us/CN=postgres", by: "ca")
            try await files.make("hers", subject: "/CN=alice", by: "ca")
            try await files.make("twofold", subject: "/CN=alice/CN=postgres", by: "ca")
            try await files.make("foreign", subject: "/CN=postgres", by: "other")
            for name in ["mine", "hers", "twofold", "foreign"] { chmod(files.key(name), 0o600) }
            try await withCluster(
                .require, certificate: files.certificate("router"), key: files.key("router"), auth: auth, authorities: files.authority("ca")
            ) { cluster in
                func with(_ name: String, password: String? = auth == .both ? Driver.password : nil) -> String {
                    dsn(cluster, "sslmode=require sslcert=\(files.certificate(name)) sslkey=\(files.key(name))", password: password)
                }
                try await expectLogin(with("mine"), "the user's own certificate")
                for (name, words) in [("hers", "certificate authentication failed"), ("twofold", "certificate authentication failed"), ("foreign", "unknown ca")] {
                    let result = try await Psql.run(with(name), "SELECT 1")
                    #expect(result.status == 2 && result.errors.contains(words), "\(name): \(result.errors)")
                }
                let none = try await Psql.run(dsn(cluster, "sslmode=require sslcert=/nonexistent sslkey=/nonexistent"), "SELECT 1")
                #expect(none.status == 2 && none.errors.contains("valid client certificate"), "\(none.errors)")
                if auth == .both {
                    let wrong = try await Psql.run(with("mine", password: "wrong"), "SELECT 1")
                    #expect(wrong.status == 2 && wrong.errors.contains("password authentication failed"))
                }
            }
        }
    }
}
