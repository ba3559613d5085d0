// What a user may do with the rows of a database, on the wire and over a router's REST.

/// How much of a database somebody may use.
package enum DatabaseAccess: Hashable, Sendable, Comparable {
    /// Statements that cannot write.
    case read
    /// Every statement.
    case write
}

/// A right to query, by its name in the API and in tokens.
package enum QueryRight: String, Hashable, Sendable, Codable, CaseIterable {
    case read = "query:read"
    /// With it goes the right to read: RETURNING would show the rows anyhow.
    case write = "query:write"

    package var access: DatabaseAccess { self == .read ? .read : .write }
}

/// The rights of one user on one database, or on all.
package struct DatabaseGrant: Hashable, Sendable, Codable {
    /// Stands for every database, those to come included. No database has this name.
    package static let allDatabases = "*"

    package var database: String
    /// Never empty; in the order of `QueryRight.allCases`, so that equal grants have equal records.
    package var rights: [QueryRight]

    package init(database: String, rights: Set<QueryRight>) {
        self.database = database
        self.rights = QueryRight.allCases.filter(rights.contains)
    }

    package func covers(_ name: String) -> Bool { database == name || database == Self.allDatabases }
}

extension [DatabaseGrant] {
    /// nil: none at all.
    package func access(to database: String) -> DatabaseAccess? {
        lazy.filter { $0.covers(database) }.flatMap(\.rights).map(\.access).max()
    }
}

extension UserRecord {
    /// Everything is theirs.
    package static let administrator = "admin"

    package var isAdministrator: Bool { roles.contains(Self.administrator) }

    /// What the user may do with the rows of a database; nil: nothing, not even log in to it.
    ///
    /// A record from before there were grants allows what it did: every statement, on the databases that it lists, or on all of them.
    package func access(to database: String) -> DatabaseAccess? {
        if let grants { return isAdministrator ? .write : grants.access(to: database) }
        return databases.map { $0.contains(database) } ?? true ? .write : nil
    }

    /// The rights on databases as grants, whatever the record's age; what an administrator has by the role is not among them.
    package var effectiveGrants: [DatabaseGrant] {
        grants ?? (databases ?? [DatabaseGrant.allDatabases]).map { DatabaseGrant(database: $0, rights: Set(QueryRight.allCases)) }
    }

    /// Sets the roles and the grants. `databases` follows, for routers of a version that does not know of grants: they let nobody in too far.
    package mutating func set(roles: [String], grants: [DatabaseGrant]) {
        self.roles = roles
        self.grants = grants
        databases = isAdministrator || grants.contains { $0.database == DatabaseGrant.allDatabases } ? nil : grants.map(\.database)
    }
}
