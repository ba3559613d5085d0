/// POST /api/v1/auth/login
package struct LoginRequest: APIRequest, Hashable {
    package var username: String
    package var password: String
    package enum CodingKeys: String, CodingKey, CaseIterable { case username, password }
}

/// A token, and what it is worth.
package struct LoginAnswer: Codable, Hashable, Sendable {
    package var token: String
    package var username: String
    package var roles: [String]
    /// Seconds.
    package var expiresIn: Int
    package enum CodingKeys: String, CodingKey, CaseIterable {
        case token, username, roles
        case expiresIn = "expires_in"
    }
    package init(token: String, username: String, roles: [String], expiresIn: Int) {
        self.token = token
        self.username = username
        self.roles = roles
        self.expiresIn = expiresIn
    }
}

/// POST /api/v1/auth/revoke: one token, or all that a user has until now.
package struct RevokeRequest: APIRequest, Hashable {
    package var jti: String?
    package var username: String?
    package enum CodingKeys: String, CodingKey, CaseIterable { case jti, username }
}
