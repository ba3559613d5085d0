package import ControlAPI
package import ShardModel

/// What a token says, once its signature has proved right.
package struct TokenClaims: Hashable, Sendable {
    package enum Source: Hashable, Sendable {
        /// A manager of this cluster: the catalog's record of the user decides what it may do.
        case cluster
        /// An identity provider: what it may do stands in the token.
        case provider
    }

    package var source: Source
    package var subject: String
    package var roles: [UserRole]
    package var grants: [DatabaseGrant]
    /// Seconds since 1970.
    package var issuedAt: Double
    package var expiresAt: Double
    package var id: String

    package static let idLengthMax = 128
    package static let grantsMax = 1000

    package init(
        source: Source, subject: String, roles: [UserRole] = [], grants: [DatabaseGrant] = [], issuedAt: Double, expiresAt: Double, id: String
    ) {
        self.source = source
        self.subject = subject
        self.roles = roles
        self.grants = grants
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.id = id
    }
}

extension TokenClaims {
    /// The claims of a payload whose signature is right; issuer and audience are the caller's to check.
    init(payload: JSONValue, source: Source) throws(TokenError) {
        guard let subject = payload["sub"]?.stringValue, (1...63).contains(subject.utf8.count),
            let id = payload["jti"]?.stringValue, (1...Self.idLengthMax).contains(id.utf8.count),
            let issuedAt = payload["iat"]?.seconds, let expiresAt = payload["exp"]?.seconds
        else { throw .malformed }
        self.init(
            source: source, subject: subject, roles: try Self.roles(payload["roles"]), grants: try Self.grants(payload["databases"]), issuedAt: issuedAt,
            expiresAt: expiresAt, id: id)
    }

    /// Roles of others, which an identity provider may well name, mean nothing here.
    private static func roles(_ value: JSONValue?) throws(TokenError) -> [UserRole] {
        guard let value, !value.isNull else { return [] }
        guard let names = value.arrayValue else { throw .malformed }
        var roles: [UserRole] = []
        for name in names {
            guard let name = name.stringValue else { throw .malformed }
            if let role = UserRole(rawValue: name) { roles.append(role) }
        }
        return roles
    }

    /// `{"shop": ["query:read"], "*": […]}`; or a list of names: both rights on each.
    private static func grants(_ value: JSONValue?) throws(TokenError) -> [DatabaseGrant] {
        guard let value, !value.isNull else { return [] }
        var grants: [DatabaseGrant] = []
        if let names = value.arrayValue {
            for name in names {
                guard let name = name.stringValue else { throw .malformed }
                grants.append(DatabaseGrant(database: name, rights: Set(QueryRight.allCases)))
            }
        } else if let members = value.members {
            for member in members {
                guard let names = member.value.arrayValue else { throw .malformed }
                let rights = Set(names.compactMap { $0.stringValue.flatMap(QueryRight.init) })
                if !rights.isEmpty { grants.append(DatabaseGrant(database: member.name, rights: rights)) }
            }
        } else {
            throw .malformed
        }
        guard grants.count <= grantsMax else { throw .malformed }
        return grants
    }

    /// The payload of a token of this cluster's own.
    func payload(issuer: String, audience: String) -> JSONValue {
        var rights: [JSONValue.Member] = []
        for grant in grants { rights.append(.init(grant.database, .array(grant.rights.map { .string($0.rawValue) }))) }
        return [
            "iss": .string(issuer), "aud": .string(audience), "sub": .string(subject), "roles": .array(roles.map { .string($0.rawValue) }),
            "databases": .object(rights), "iat": .seconds(issuedAt), "exp": .seconds(expiresAt), "jti": .string(id),
        ]
    }
}

extension JSONValue {
    /// A NumericDate (RFC 7519, section 2), as far as it is of this age of the world.
    var seconds: Double? {
        let value: Double? =
            switch self {
            case .integer(let number): Double(number)
            case .number(let text): Double(text)
            default: nil
            }
        guard let value, value.isFinite, (0...Self.secondsMax).contains(value) else { return nil }
        return value
    }

    /// The year 9999.
    private static let secondsMax = 253_402_300_799.0

    /// With three digits of a fraction: two tokens of one second differ in age.
    fileprivate static func seconds(_ value: Double) -> JSONValue {
        let thousandths = Int64((value * 1000).rounded())
        let rest = String(1000 + thousandths % 1000).dropFirst()
        return .number("\(thousandths / 1000).\(rest)")
    }
}
