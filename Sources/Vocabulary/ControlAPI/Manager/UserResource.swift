package import ShardModel

package enum UserRole: String, Codable, Hashable, Sendable, CaseIterable { case admin, `operator`, viewer }

/// What a user may do with the rows of one database; `*` is all of them.
package struct GrantResource: Codable, Hashable, Sendable {
    package var database: String
    package var rights: [QueryRight]

    package init(_ grant: DatabaseGrant) {
        database = grant.database
        rights = grant.rights
    }
}

/// A user as the API shows it: no verifier, no password.
package struct UserResource: Codable, Hashable, Sendable {
    package var name: String
    package var roles: [String]
    /// Those that the user may query; nil: all databases.
    package var databases: [String]?
    /// Left out where the user may do everything with `databases`.
    package var grants: [GrantResource]?
    package var version: UInt64

    package enum CodingKeys: String, CodingKey, CaseIterable { case name, roles, databases, grants, version }

    package init(_ record: UserRecord) {
        name = record.name
        roles = record.roles
        databases = record.databases
        let mayOnlyRead = record.grants?.contains { !$0.rights.contains(.write) } == true
        grants = mayOnlyRead && !record.isAdministrator ? record.grants?.map(GrantResource.init) : nil
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
package struct CreateUserRequest: APIRequest, Hashable {
    package var name: String
    package var password: String
    /// May be left out where there are grants: a user of the data only.
    package var roles: [UserRole]?
    /// Every statement on these; short for grants of both rights.
    package var databases: [String]?
    package var grants: [GrantResource]?
    package enum CodingKeys: String, CodingKey, CaseIterable { case name, password, roles, databases, grants }
}

/// PUT /api/v1/users/{name}: a field left out keeps its value; `databases: null` means every statement on all.
package struct UpdateUserRequest: APIRequest, Hashable {
    package var version: UInt64
    package var password: String?
    package var roles: [UserRole]?
    /// Outer nil: left out; inner nil: null, all databases.
    package var databases: [String]??
    package var grants: [GrantResource]?
    package enum CodingKeys: String, CodingKey, CaseIterable { case version, password, roles, databases, grants }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        version = try container.decode(UInt64.self, forKey: .version)
        password = try container.decodeIfPresent(String.self, forKey: .password)
        roles = try container.decodeIfPresent([UserRole].self, forKey: .roles)
        grants = try container.decodeIfPresent([GrantResource].self, forKey: .grants)
        if container.contains(.databases) {
            databases = .some(try container.decodeIfPresent([String].self, forKey: .databases))
        }
    }
}
