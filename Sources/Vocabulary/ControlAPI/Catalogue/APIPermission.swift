/// Who may use an operation, where a server asks for tokens.
package enum APIPermission: Hashable, Sendable {
    /// Whoever reaches the port.
    case everyone
    /// Whoever has a valid token.
    case signedIn
    /// Who has this role or a mightier one.
    case role(UserRole)
    /// Who has a right on the database that the request is about.
    case query

    /// For the reference.
    package var description: String {
        switch self {
        case .everyone: "everyone"
        case .signedIn: "any token"
        case .role(let role): role.rawValue
        case .query: "rights on the database"
        }
    }
}

extension UserRole {
    /// An administrator may do what an operator may, and an operator what a viewer may.
    package func includes(_ other: UserRole) -> Bool { might >= other.might }

    private var might: Int {
        switch self {
        case .viewer: 1
        case .operator: 2
        case .admin: 3
        }
    }
}

/// The one table of who may do what over REST: the servers check by it, the reference and the OpenAPI documents list it, and a test calls every operation as everybody.
///
/// An operator may do everything but manage users and remove databases, a viewer reads. What the table does not open is closed to all.
package enum RoutePermissions {
    /// nil: closed.
    package static func permission(for route: APIRoute) -> APIPermission? { table[route.id] }

    package static let table: [String: APIPermission] = [
        // Both servers
        "GET /health": .everyone, "GET /ready": .everyone, "GET /openapi.json": .everyone, "GET /metrics": .role(.viewer),
        "GET /v1/log-levels": .role(.admin), "PATCH /v1/log-levels": .role(.admin),
        "GET /api/v1/log-levels": .role(.admin), "PATCH /api/v1/log-levels": .role(.admin),
        // The router
        "GET /v1/health": .everyone, "POST /v1/execute": .query, "POST /v1/batch": .query, "GET /v1/shard-for-key": .query,
        // The manager: who one is
        "POST /api/v1/auth/setup": .everyone, "POST /api/v1/auth/login": .everyone, "POST /api/v1/auth/logout": .signedIn,
        "POST /api/v1/auth/revoke": .role(.admin),
        "GET /api/v1/users": .role(.admin), "POST /api/v1/users": .role(.admin), "GET /api/v1/users/{name}": .role(.admin),
        "PUT /api/v1/users/{name}": .role(.admin), "DELETE /api/v1/users/{name}": .role(.admin),
        // Databases and tables
        "GET /api/v1/databases": .role(.viewer), "POST /api/v1/databases": .role(.operator), "GET /api/v1/databases/{name}": .role(.viewer),
        "DELETE /api/v1/databases/{name}": .role(.admin), "GET /api/v1/databases/{name}/tables": .role(.viewer),
        "POST /api/v1/databases/{name}/tables": .role(.operator), "DELETE /api/v1/databases/{name}/tables/{table}": .role(.operator),
        // Shards
        "GET /api/v1/shards": .role(.viewer), "POST /api/v1/shards": .role(.operator), "GET /api/v1/shards/{id}": .role(.viewer),
        "DELETE /api/v1/shards/{id}": .role(.operator), "PUT /api/v1/shards/{id}/status": .role(.operator),
        "PUT /api/v1/shards/{id}/replicas": .role(.operator), "GET /api/v1/shards/{id}/health": .role(.viewer),
        "GET /api/v1/shards/{id}/stats": .role(.viewer),
        // Jobs that move vnodes
        "POST /api/v1/reshard/split": .role(.operator), "POST /api/v1/reshard/merge": .role(.operator), "POST /api/v1/reshard/move": .role(.operator),
        "POST /api/v1/reshard/add-shard": .role(.operator), "POST /api/v1/reshard/drain-shard": .role(.operator),
        "GET /api/v1/reshard/plan": .role(.viewer), "GET /api/v1/reshard/jobs": .role(.viewer), "GET /api/v1/reshard/jobs/{id}": .role(.viewer),
        "POST /api/v1/reshard/jobs/{id}/cancel": .role(.operator), "POST /api/v1/reshard/jobs/{id}/resume": .role(.operator),
        "POST /api/v1/reshard/jobs/{id}/reverse": .role(.operator), "POST /api/v1/reshard/jobs/{id}/finish": .role(.operator),
        // The cluster
        "GET /api/v1/catalog": .role(.viewer), "GET /api/v1/routers": .role(.viewer), "GET /api/v1/managers": .role(.viewer),
        "GET /api/v1/audit": .role(.admin),
    ]
}
