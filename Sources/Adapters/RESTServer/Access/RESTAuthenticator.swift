internal import ControlAPI
internal import Foundation
internal import HTTPTypes
package import Secrets
package import ShardModel
internal import Synchronization

/// Finds out who makes a request: the token's signature and times, then the catalog, which knows the users and what was revoked.
package final class RESTAuthenticator: Sendable {
    package let authority: TokenAuthority
    private let catalog: @Sendable () async throws -> CatalogSnapshot
    /// Of the catalog's setting, read once for each text.
    private let revocations = Mutex<(text: String?, parsed: Revocations?)>((nil, Revocations()))

    /// - catalog: as it is now; throws an `APIError` while it is not known.
    package init(_ authority: TokenAuthority, catalog: @escaping @Sendable () async throws -> CatalogSnapshot) {
        self.authority = authority
        self.catalog = catalog
    }

    /// Throws an `APIError` of 401 for any token that is not valid, and of 503 where the catalog is not known.
    package func principal(ofToken token: String) async throws -> RESTPrincipal {
        let claims: TokenClaims
        do throws(TokenError) {
            claims = try authority.verify(token)
        } catch {
            // The signature was right, so the caller may know.
            if error == .expired { throw APIError(.unauthenticated, "the token has expired", details: ["reason": "expired"]) }
            throw Self.invalid
        }
        guard let principal = principal(of: claims, in: try await catalog()) else { throw Self.invalid }
        return principal
    }

    /// What a token is worth by a catalog, times aside; nil: it is void.
    package func principal(of claims: TokenClaims, in catalog: CatalogSnapshot) -> RESTPrincipal? {
        guard let revocations = revocations(in: catalog), !revocations.covers(claims) else { return nil }
        guard claims.source == .cluster else { return RESTPrincipal(claims: claims, record: nil) }
        guard let record = catalog.users[claims.subject], claims.issuedAt > record.tokensAfter ?? -.infinity else { return nil }
        return RESTPrincipal(claims: claims, record: record)
    }

    private func revocations(in catalog: CatalogSnapshot) -> Revocations? {
        let text = catalog.settings[Revocations.setting]
        return revocations.withLock { known in
            if known.text != text { known = (text, Revocations(text: text)) }
            return known.parsed
        }
    }

    static var invalid: APIError { APIError(.unauthenticated, "the token is not valid") }

    /// The token of a request. Throws an `APIError` of 401.
    static func token(in headers: HTTPFields) throws(APIError) -> String {
        let values = headers[values: .authorization]
        guard let value = values.first else { throw APIError(.unauthenticated, "this operation needs a token: Authorization: Bearer …") }
        let parts = value.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard values.count == 1, parts.count == 2, parts[0].lowercased() == "bearer" else { throw invalid }
        return String(parts[1])
    }
}
