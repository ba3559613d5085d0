internal import Foundation
internal import NIOCore
internal import PGWire
internal import RESTServer
internal import Secrets
internal import ShardModel

/// The token that a session was opened with: the session lasts no longer than it does.
final class SessionToken {
    let claims: TokenClaims
    private let tokens: RESTAuthenticator
    private var expiry: Scheduled<Void>?

    init(_ claims: TokenClaims, _ tokens: RESTAuthenticator) {
        self.claims = claims
        self.tokens = tokens
    }

    /// What its user may do with a database by the catalog as it is now; nil: nothing, or the token is void.
    func access(to database: String, in catalog: CatalogSnapshot) -> DatabaseAccess? {
        tokens.principal(of: claims, in: catalog)?.access(to: database)
    }

    func isVoid(in catalog: CatalogSnapshot) -> Bool { tokens.principal(of: claims, in: catalog) == nil }

    /// Ends the session with its token.
    func watch(_ session: ClientSession) {
        let rest = max(0, claims.expiresAt + tokens.authority.settings.leeway - Date().timeIntervalSince1970)
        expiry = session.loop.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(rest * 1000) + 1)) { [weak session] in session?.cutOff(.tokenExpired) }
    }

    func stop() { expiry?.cancel() }
}

extension ServerError {
    static let tokenNeedsTLS = ServerError(
        severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "a token is taken over an encrypted connection only",
        hint: "Connect with sslmode=require or stricter.")
    static let tokensNotTaken = ServerError(
        severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "this router takes no tokens", hint: "Its setting http.auth must be token.")
    static let tokenOnConsole = ServerError(
        severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "the console takes passwords, and no tokens")
    static func wrongToken(user: String) -> ServerError {
        ServerError(severity: .fatal, sqlState: .invalidPassword, message: "token authentication failed for user \"\(user)\"")
    }
    static let tokenExpired = ServerError(severity: .fatal, sqlState: .adminShutdown, message: "terminating connection: its token has expired")
    static let tokenVoid = ServerError(severity: .fatal, sqlState: .adminShutdown, message: "terminating connection: its token is void")
}
