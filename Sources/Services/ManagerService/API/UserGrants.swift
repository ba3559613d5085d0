internal import ControlAPI
internal import ShardModel

/// The rights of users, as requests give them and records keep them.
enum UserGrants {
    /// nil: the request says nothing of them. Throws an `APIError` of 400.
    ///
    /// - databases: every statement on each, as before there were grants; inner nil: on all.
    static func read(grants: [GrantResource]?, databases: [String]??) throws(APIError) -> [DatabaseGrant]? {
        guard let grants else {
            guard let databases else { return nil }
            let all = Set(QueryRight.allCases)
            return try checked((databases ?? [DatabaseGrant.allDatabases]).map { DatabaseGrant(database: $0, rights: all) })
        }
        guard databases == nil else { throw APIError(.invalidRequest, "give grants or databases, not both") }
        return try checked(grants.map { DatabaseGrant(database: $0.database, rights: Set($0.rights)) })
    }

    private static func checked(_ grants: [DatabaseGrant]) throws(APIError) -> [DatabaseGrant] {
        guard RequestLimits.grants.contains(grants.count), Set(grants.map(\.database)).count == grants.count else {
            throw APIError(.invalidRequest, "grants must be of at most \(RequestLimits.grants.upperBound) different databases")
        }
        for grant in grants {
            try Names.checkIdentifier(grant.database, "database of a grant")
            guard !grant.rights.isEmpty else { throw APIError(.invalidRequest, "rights of a grant must not be empty; leave the grant out") }
        }
        return grants.sorted { $0.database < $1.database }
    }

    static func record(name: String, verifier: String, roles: [String], grants: [DatabaseGrant]) -> UserRecord {
        var record = UserRecord(name: name, verifier: verifier, roles: [])
        record.set(roles: roles, grants: grants)
        return record
    }

    /// Where nothing is said of the grants of a record from before there were some, it stays one: the user may do what it could.
    static func change(_ record: inout UserRecord, roles: [String]?, grants: [DatabaseGrant]?) throws(APIError) {
        if let grants = grants ?? record.grants {
            record.set(roles: roles ?? record.roles, grants: grants)
        } else if let roles {
            record.roles = roles
        }
        guard !record.roles.isEmpty || !record.effectiveGrants.isEmpty else {
            throw APIError(.invalidRequest, "a user must keep a role or a grant; remove the user instead")
        }
    }
}
