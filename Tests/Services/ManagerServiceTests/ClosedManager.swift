import Audit
import CatalogStore
import ControlAPI
import Logging
import ManagerService
import PGWire
import RESTTestKit
import Secrets
import ShardModel
import Telemetry

/// A manager that asks for tokens, with a user of each kind.
struct ClosedManager: Sendable {
    let server: RESTTestServer
    let store: InMemoryCatalogStore
    let clock: TestClock
    let faults: Faults

    static let password = "correct horse"
    /// By name, which says what they are.
    static let users: [(name: String, roles: [String])] = [("admin", ["admin"]), ("operator", ["operator"]), ("viewer", ["viewer"]), ("reader", [])]

    static func run(empty: Bool = false, audit: AuditTrail? = nil, _ body: @Sendable (ClosedManager) async throws -> Void) async throws {
        let clock = TestClock()
        let store = InMemoryCatalogStore()
        let faults = Faults()
        let authority = try TokenAuthority(TokenSettings(secret: TokenForge.secret), now: { clock.now })
        let api = ManagerAPI(
            store: FaultyStore(store: store, faults: faults), inspector: FakeInspector(), box: nil, metrics: SharedMetrics(), registry: MetricRegistry(), authority: authority,
            passwords: PasswordCheck(iterations: 8, now: { clock.now }), audit: audit, now: { clock.now })
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        if !empty {
            // Few rounds: a login is thousands of hashes otherwise, and there are many.
            let verifier = ScramVerifier.make(password: password, salt: Array(1...16), iterations: 8).text
            let records = users.map { name, roles in
                var record = UserRecord(name: name, verifier: verifier, roles: [])
                record.set(roles: roles, grants: [DatabaseGrant(database: "shop", rights: [.read])])
                return CatalogChange.Operation.putUser(record)
            }
            _ = try await store.commit(CatalogChange(records, author: "test"), expecting: try await store.load().epoch)
        }
        let responder = ManagerServer.responder(api, authenticator: api.authenticator, bodyMax: 100_000, metrics: SharedMetrics(), logger: logger)
        try await RESTTestServer.with(responder) { server in
            try await body(ClosedManager(server: server, store: store, clock: clock, faults: faults))
        }
    }

    static func header(_ token: String?) -> [(String, String)] { token.map { [("Authorization", "Bearer \($0)")] } ?? [] }

    func login(_ user: String, _ password: String = password) async throws -> HTTPAnswer {
        try await server.post("/api/v1/auth/login", ["username": .string(user), "password": .string(password)])
    }

    func token(of user: String) async throws -> String {
        let answer = try await login(user)
        guard let token = answer.json?["token"]?.stringValue else { throw RawHTTPError(description: "no token: \(answer.text)") }
        return token
    }
}
