package import ShardModel

package enum UserRole: String, Codable, Hashable, Sendable, CaseIterable { case admin, `operator`, viewer }

/// A user as the API shows it: no verifier, no password.
package struct UserResource: Codable, Hashable, Sendable {
    package var name: String
    package var roles: [String]
    /// nil: all databases.
    package var databases: [String]?
    package var version: UInt64

    package enum CodingKeys: String, CodingKey, CaseIterable { case name, roles, databases, version }

    package init(_ record: UserRecord) {
        name = record.name
        roles = record.roles
        databases = record.databases
        version = record.version
    }
}

/// POST /api/v1/auth/setup: the first administrator, only while no user exists.
package struct SetupRequest: APIRequest, Encodable, Hashable {
    package var username: String
    package var password: String
    package enum CodingKeys: String, CodingKey, CaseIterable { case username, password }
    package init(username: String, password: String) {
        self.username = username
        self.password = password
    }
}

/// POST /api/v1/users
package struct CreateUserRequest: APIRequest, Encodable, Hashable {
    package var name: String
    package var password: String
    package var roles: [UserRole]
    package var databases: [String]?
    package enum CodingKeys: String, CodingKey, CaseIterable { case name, password, roles, databases }
    package init(name: String, password: String, roles: [UserRole], databases: [String]? = nil) {
        self.name = name
        self.password = password
        self.roles = roles
        self.databases = databases
    }
}

/// PUT /api/v1/users/{name}: a field left out keeps its value; `databases: null` means all.
package struct UpdateUserRequest: APIRequest, Hashable {
    package var version: UInt64
    package var password: String?
    package var roles: [UserRole]?
    /// Outer nil: left out; inner nil: null, all databases.
    package var databases: [String]??
    package enum CodingKeys: String, CodingKey, CaseIterable { case version, password, roles, databases }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        version = try container.decode(UInt64.self, forKey: .version)
        password = try container.decodeIfPresent(String.self, forKey: .password)
        roles = try container.decodeIfPresent([UserRole].self, forKey: .roles)
        if container.contains(.databases) {
            databases = .some(try container.decodeIfPresent([String].self, forKey: .databases))
        }
    }
}
