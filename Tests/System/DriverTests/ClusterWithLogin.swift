import CatalogStore
import ClusterTestKit
import PGWire
import ServerConfig
import ShardModel

extension TestCluster {
    /// A cluster of three shards whose router asks the user postgres for a password.
    ///
    /// - waits: until the router knows the user.
    static func withLogin(
        _ tables: [String: Placement], defaultPlacement: DefaultPlacement = .refuse, router: @escaping @Sendable (inout RouterSettings) -> Void = { _ in }, waits: Bool = true,
        _ body: @Sendable (TestCluster) async throws -> Void
    ) async throws {
        var options = Options(shards: 3, tables: tables)
        options.defaultPlacement = defaultPlacement
        options.router = {
            $0.wireAuth = .scram
            router(&$0)
        }
        try await with(options) { cluster in
            let salt = (0..<ScramVerifier.saltLength).map { _ in UInt8.random(in: .min ... .max) }
            let verifier = ScramVerifier.make(password: Driver.password, salt: salt)
            let user = UserRecord(name: "postgres", verifier: verifier.text, roles: ["admin"])
            let epoch = try await cluster.store.load().epoch
            _ = try await cluster.store.commit(CatalogChange([.putUser(user)], author: "test"), expecting: epoch)
            if waits { try await Psql.waitForLogin(Driver.dsn(port: cluster.wirePort)) }
            try await body(cluster)
        }
    }
}
