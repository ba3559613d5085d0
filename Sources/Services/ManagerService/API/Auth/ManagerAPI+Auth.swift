internal import ControlAPI
internal import HTTPTypes
internal import Logging
package import RESTServer
internal import Secrets
internal import ShardModel
internal import Synchronization

/// Tokens: given for a password, and made void before their time.
extension ManagerAPI {
    var authHandlers: [String: RESTHandler] {
        [
            "POST /api/v1/auth/login": { request in
                let body = try request.decode(LoginRequest.self)
                guard let authority, authority.mayIssue else {
                    throw APIError(.notImplemented, "this manager gives no tokens: neither auth.secret nor secrets.key_file is set")
                }
                let user = try await passwords.user(
                    named: body.username, password: body.password, address: request.address.counted, in: try await writer.load())
                let (token, claims) = authority.issue(for: user)
                request.logger.info("login", metadata: ["user": "\(user.name)", "jti": "\(claims.id)"])
                return .json(
                    LoginAnswer(token: token, username: user.name, roles: user.roles, expiresIn: Int(authority.settings.lifetime)), headers: [HTTPField(name: .cacheControl, value: "no-store")])
            },
            "POST /api/v1/auth/logout": { request in
                // Without claims nobody asked for a token (http.auth is none), so there is none to make void.
                guard let claims = request.principal?.claims else { return .noContent }
                try await revoke(.token(id: claims.id), until: claims.expiresAt, of: .init(name: claims.subject, issuedAt: claims.issuedAt), request)
                return .noContent
            },
            "POST /api/v1/auth/revoke": { request in
                let body = try request.decode(RevokeRequest.self)
                switch (body.jti, body.username) {
                case (let id?, nil):
                    guard (1...TokenClaims.idLengthMax).contains(id.utf8.count) else { throw APIError(.invalidRequest, "jti is not that of a token") }
                    try await revoke(.token(id: id), until: now() + TokenSettings.lifetimeMax, request)
                case (nil, let name?):
                    try await revoke(user: name, request)
                default: throw APIError(.invalidRequest, "give jti or username")
                }
                return .noContent
            },
        ]
    }

    /// Everything that the user has been given until now, by whom ever.
    private func revoke(user name: String, _ request: RESTRequest) async throws {
        try Names.checkIdentifier(name, "username")
        let time = Self.moment(now())
        try await revoke(.user(name: name, until: time), until: time + TokenSettings.lifetimeMax, request)
    }

    /// The end of a moment in thousandths of a second, which tokens count in.
    static func moment(_ time: Double) -> Double { (time * 1000).rounded(.up) / 1000 }

    /// - owner: whose own token it is.
    private func revoke(_ subject: Revocations.Subject, until: Double, of owner: Revocations.Owner? = nil, _ request: RESTRequest) async throws {
        let time = Self.moment(now())
        // As long as clocks may differ, and the tokens with them.
        let until = until + (authority?.settings.leeway ?? 0)
        try await writer.change(author: Self.author(request)) { catalog in
            CatalogWriter.Decision(operations: [try Self.revocation(subject, until: until, of: owner, now: time, catalog)]) { _ in }
        }
    }

    static func revocation(
        _ subject: Revocations.Subject, until: Double, of owner: Revocations.Owner? = nil, now: Double, _ catalog: CatalogSnapshot
    ) throws(APIError) -> CatalogChange.Operation {
        guard let known = Revocations(text: catalog.settings[Revocations.setting]) else {
            throw APIError(.internalError, "the catalog's setting \(Revocations.setting) is damaged")
        }
        guard let new = known.adding(.init(subject, until: until, owner: owner), now: now, lifetimeMax: TokenSettings.lifetimeMax) else {
            throw APIError(.tooManyRequests, "\(Revocations.entriesMax) tokens are revoked already; change the secret of tokens", retryAfter: 3600)
        }
        return .setSetting(name: Revocations.setting, value: new.text)
    }
}

extension ManagerAPI {
    /// Checks tokens by the catalog as it is now; nil where there is nothing to check them with.
    ///
    /// While the store is down it is the catalog as it was last: what needs the store fails for itself, and metrics can be read.
    package var authenticator: RESTAuthenticator? {
        authority.map { authority in
            let last = LastCatalog()
            return RESTAuthenticator(authority) { [writer] in
                do {
                    return last.remember(try await writer.load())
                } catch {
                    guard let known = last.known else { throw error }
                    return known
                }
            }
        }
    }
}

private final class LastCatalog: Sendable {
    private let state = Mutex<CatalogSnapshot?>(nil)
    var known: CatalogSnapshot? { state.withLock { $0 } }

    func remember(_ catalog: CatalogSnapshot) -> CatalogSnapshot {
        state.withLock { $0 = catalog }
        return catalog
    }
}
