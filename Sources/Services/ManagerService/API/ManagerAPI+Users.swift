internal import Audit
internal import ControlAPI
internal import PGWire
internal import RESTServer
internal import Secrets
internal import ServerConfig
internal import ShardModel

extension ManagerAPI {
    var userHandlers: [String: RESTHandler] {
        [
            "POST /api/v1/auth/setup": { request in
                let body = try request.decode(SetupRequest.self)
                try Names.checkIdentifier(body.username, "username")
                let record = UserRecord(
                    name: body.username, verifier: try Self.verifier(body.password), roles: [UserRecord.administrator], grants: [])
                return try await change(request, author: "setup") { .json($0, status: 201) } _: { catalog in
                    guard catalog.users.isEmpty else { throw APIError(.setupDone, "a user exists already; use /api/v1/users") }
                    return Self.put(record)
                }
            },
            "GET /api/v1/users": { request in
                let catalog = try await writer.load()
                let all = catalog.users.values.sorted { $0.name < $1.name }.map { UserResource($0) }
                return .json(try request.page().page(of: all, name: \.name))
            },
            "GET /api/v1/users/{name}": { request in
                .json(UserResource(try Self.user(request.parameter("name"), in: try await writer.load())))
            },
            "POST /api/v1/users": { request in
                let body = try request.decode(CreateUserRequest.self)
                try Names.checkIdentifier(body.name, "name")
                let grants = try UserGrants.read(grants: body.grants, databases: body.databases.map { .some($0) }) ?? []
                let roles = Self.roles(body.roles ?? [])
                guard !roles.isEmpty || !grants.isEmpty else {
                    throw APIError(.invalidRequest, "roles must not be empty, for a user without grants")
                }
                let made = UserGrants.record(name: body.name, verifier: try Self.verifier(body.password), roles: roles, grants: grants)
                return try await change(request) { .json($0, status: 201) } _: { catalog in
                    guard catalog.users[made.name] == nil else { throw APIError(.alreadyExists, "a user of that name exists") }
                    return Self.put(made)
                }
            },
            "PUT /api/v1/users/{name}": { request in
                let (name, body) = (request.parameter("name"), try request.decode(UpdateUserRequest.self))
                let verifier = try body.password.map { (password) throws(APIError) in try Self.verifier(password) }
                let roles = body.roles.map(Self.roles)
                let grants = try UserGrants.read(grants: body.grants, databases: body.databases)
                return try await change(request) { .json($0) } _: { catalog in
                    var record = try Self.user(name, in: catalog)
                    try Self.check(version: body.version, is: record.version, "the user", UserResource(record))
                    if let verifier {
                        record.verifier = verifier
                        // Who knew the old one has no token of it any more.
                        record.tokensAfter = Self.moment(now())
                    }
                    try UserGrants.change(&record, roles: roles, grants: grants)
                    try Self.checkAdministratorRemains(catalog, changing: name, to: record)
                    return Self.put(record)
                }
            },
            "DELETE /api/v1/users/{name}": { request in
                let (name, version) = (request.parameter("name"), try request.number("version"))
                return try await change(request) { .noContent } _: { catalog in
                    let record = try Self.user(name, in: catalog)
                    try Self.check(version: version, is: record.version, "the user", UserResource(record))
                    try Self.checkAdministratorRemains(catalog, changing: name, to: nil)
                    // Another user of that name must not have this one's tokens.
                    let time = Self.moment(now())
                    let revocation = try Self.revocation(.user(name: name, until: time), until: time + TokenSettings.lifetimeMax, now: time, catalog)
                    return CatalogWriter.Decision(operations: [.deleteUser(name: name, version: record.version), revocation]) { _ in }
                }
            },
        ]
    }

    /// Makes the first administrator, unless there is a user. Of several managers that start at once one does. Throws a `ConfigError` for a name or
    /// password that no user may have.
    func makeFirst(_ administrator: FirstAdministrator) async throws -> Bool {
        let record: UserRecord
        do throws(APIError) {
            try Names.checkIdentifier(administrator.name, FirstAdministrator.userVariable)
            record = UserRecord(
                name: administrator.name, verifier: try Self.verifier(administrator.password), roles: [UserRecord.administrator], grants: [])
        } catch {
            throw ConfigError("variable \(FirstAdministrator.userVariable)", .inconsistent(error.message))
        }
        // Without the lease: no manager leads yet, and what the store compares is enough.
        let isMade = try await CatalogWriter(store: store, metrics: writer.metrics).change(author: "environment") { catalog in
            let isFirst = catalog.users.isEmpty
            return CatalogWriter.Decision(operations: isFirst ? [.putUser(record)] : []) { _ in isFirst }
        }
        if isMade { audit?.record(AuditEvent("user.setup", user: administrator.name, object: "the environment")) }
        return isMade
    }

    private static func put(_ record: UserRecord) -> CatalogWriter.Decision<UserResource> {
        CatalogWriter.Decision(operations: [.putUser(record)]) { UserResource($0.users[record.name] ?? record) }
    }

    private static func user(_ name: String, in catalog: CatalogSnapshot) throws(APIError) -> UserRecord {
        guard let record = catalog.users[name] else { throw APIError(.userNotFound, "there is no user of that name") }
        return record
    }

    private static func roles(_ roles: [UserRole]) -> [String] { UserRole.allCases.filter(roles.contains).map(\.rawValue) }

    /// Only the verifier is kept; the password is forgotten here.
    private static func verifier(_ password: String) throws(APIError) -> String {
        let lengths = RequestLimits.passwordBytes
        guard lengths.contains(password.utf8.count) else {
            throw APIError(.invalidRequest, "password must have \(lengths.lowerBound) to \(lengths.upperBound) bytes")
        }
        return ScramVerifier.make(password: password, salt: SecureRandom.bytes(ScramVerifier.saltLength)).text
    }

    /// The last administrator can neither go nor step down: nobody could undo it.
    private static func checkAdministratorRemains(
        _ catalog: CatalogSnapshot, changing name: String, to record: UserRecord?
    ) throws(APIError) {
        guard catalog.users[name]?.isAdministrator == true else { return }
        var users = catalog.users
        users[name] = record
        guard users.values.contains(where: \.isAdministrator) else {
            throw APIError(.lastAdministrator, "this is the last user with the role admin")
        }
    }
}
