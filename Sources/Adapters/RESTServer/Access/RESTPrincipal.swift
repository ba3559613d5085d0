package import ControlAPI
package import Secrets
package import ShardModel

/// Who makes a request, proved by a token.
package struct RESTPrincipal: Hashable, Sendable {
    package let claims: TokenClaims
    /// The catalog's record, which has the last word on the users of this cluster; nil for those of an identity provider.
    private let record: UserRecord?

    package init(claims: TokenClaims, record: UserRecord?) {
        self.claims = claims
        self.record = record
    }

    package var name: String { claims.subject }

    private var roles: [UserRole] { record.map { $0.roles.compactMap(UserRole.init) } ?? claims.roles }

    package func has(_ role: UserRole) -> Bool { roles.contains { $0.includes(role) } }

    /// What it may do with a database's rows; nil: nothing.
    package func access(to database: String) -> DatabaseAccess? {
        if let record { return record.access(to: database) }
        return has(.admin) ? .write : claims.grants.access(to: database)
    }

    func may(_ permission: APIPermission?) -> Bool {
        switch permission {
        case .everyone, .signedIn, .query: true
        case .role(let role): has(role)
        case nil: false
        }
    }
}
