internal import ControlAPI
internal import Crypto
internal import Foundation
package import ShardModel
internal import Synchronization

/// Makes the cluster's tokens and checks all there are. Does no more than signatures and times: what has been revoked the catalog knows.
package final class TokenAuthority: Sendable {
    private struct Keys: Sendable {
        var provider: [TokenKey] = []
        /// Of the file that they were read from.
        var fileVersion: FileVersion?
        var lookedAt = -Double.infinity
    }
    private struct FileVersion: Hashable, Sendable {
        var modified: Double
        var size: UInt64
        var number: UInt64
    }
    private struct Known: Sendable {
        /// By the token's hash: two halves, so that what is not used goes.
        var fresh: [SHA256Digest: TokenClaims] = [:]
        var old: [SHA256Digest: TokenClaims] = [:]

        mutating func add(_ claims: TokenClaims, _ hash: SHA256Digest, max: Int) {
            if fresh.count >= max {
                old = fresh
                fresh.removeAll(keepingCapacity: true)
            }
            fresh[hash] = claims
        }
    }

    /// How often the file of keys is looked at, in seconds.
    static let lookInterval = 10.0
    static let keySetBytesMax: UInt64 = 1 << 20
    /// Tokens whose signature need not be checked anew.
    static let knownMax = 10_000

    package let settings: TokenSettings
    private let own: TokenKey?
    /// Of keys that are being rotated: their tokens are taken, and none is made with them.
    private let formerOwn: [TokenKey]
    private let keys = Mutex(Keys())
    private let known = Mutex(Known())
    private let now: @Sendable () -> Double

    /// Throws for settings that let nobody in, or the wrong ones.
    package init(
        _ settings: TokenSettings, now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
    ) throws(TokenSettingsError) {
        self.settings = settings
        self.now = now
        guard settings.secret != nil || settings.keySetFile != nil else { throw .noKey }
        if let secret = settings.secret, secret.count < TokenSettings.secretLengthMin { throw .secretTooShort }
        own = settings.secret.map { TokenKey(material: .hmac(SymmetricKey(data: $0)), id: nil) }
        formerOwn = settings.formerSecrets.map { TokenKey(material: .hmac(SymmetricKey(data: $0)), id: nil) }
        if settings.keySetFile != nil {
            guard let issuer = settings.providerIssuer, !issuer.isEmpty, issuer != settings.issuer else { throw .issuersEqual }
            try readKeySet()
        }
    }

    // MARK: Making

    package var mayIssue: Bool { own != nil }

    /// A token for a user of the catalog. Precondition: `mayIssue`.
    package func issue(for user: UserRecord) -> (token: String, claims: TokenClaims) {
        guard case .hmac(let key)? = own?.material else { preconditionFailure("asked for a token without a secret") }
        let time = now()
        var generator = SystemRandomNumberGenerator()
        let id = (0..<2).map { _ in String(UInt64.random(in: .min ... .max, using: &generator), radix: 36) }.joined(separator: "-")
        let claims = TokenClaims(
            source: .cluster, subject: user.name, roles: user.roles.compactMap(UserRole.init), grants: user.effectiveGrants, issuedAt: time,
            expiresAt: time + settings.lifetime, id: id)
        let header: JSONValue = ["alg": "HS256", "typ": "JWT"]
        let parts = [header, claims.payload(issuer: settings.issuer, audience: settings.audience)].map { Base64URL.encode(Data($0.encoded())) }
        let signed = parts.joined(separator: ".")
        let signature = HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key)
        return (signed + "." + Base64URL.encode(Data(signature)), claims)
    }

    // MARK: Checking

    /// What the token says. Throws when it is not ours or a known provider's, or not valid now.
    package func verify(_ text: String) throws(TokenError) -> TokenClaims {
        guard text.utf8.count <= CompactToken.lengthMax else { throw .malformed }
        lookAtKeySet()
        let hash = SHA256.hash(data: Array(text.utf8))
        if let claims = recall(hash) {
            try checkTimes(claims, notBefore: nil)
            return claims
        }
        let claims = try verified(try CompactToken(text))
        remember(claims, hash)
        return claims
    }

    private func verified(_ token: CompactToken) throws(TokenError) -> TokenClaims {
        let key = try key(for: token)
        let candidates = if case .hmac = key.material { [key] + formerOwn } else { [key] }
        guard candidates.contains(where: { $0.verifies(token.signature, of: token.signed) }) else { throw .wrongSignature }
        guard let payload = try? JSONParser.parse(token.payload) else { throw .malformed }
        let isOwn = if case .hmac = key.material { true } else { false }
        guard payload["iss"]?.stringValue == (isOwn ? settings.issuer : settings.providerIssuer) else { throw .wrongIssuer }
        switch payload["aud"] {
        case .string(let audience)? where audience == settings.audience: break
        case .array(let audiences)? where audiences.contains(.string(settings.audience)): break
        default: throw .wrongAudience
        }
        let claims = try TokenClaims(payload: payload, source: isOwn ? .cluster : .provider)
        var notBefore: Double?
        if let value = payload["nbf"] {
            guard let seconds = value.seconds else { throw .malformed }
            notBefore = seconds
        }
        try checkTimes(claims, notBefore: notBefore)
        return claims
    }

    /// The key's own algorithm must be the header's: a public key is no secret of HS256, and there is no key for `none`.
    private func key(for token: CompactToken) throws(TokenError) -> TokenKey {
        if token.algorithm == "HS256" {
            guard let own, token.keyID == nil else { throw .unknownKey }
            return own
        }
        let fitting = keys.withLock { $0.provider }.filter { $0.algorithm == token.algorithm }
        if let id = token.keyID {
            guard let key = fitting.first(where: { $0.id == id }) else { throw .unknownKey }
            return key
        }
        guard fitting.count == 1 else { throw .unknownKey }
        return fitting[0]
    }

    private func checkTimes(_ claims: TokenClaims, notBefore: Double?) throws(TokenError) {
        let time = now()
        guard claims.expiresAt - claims.issuedAt <= TokenSettings.lifetimeMax, claims.expiresAt > claims.issuedAt else { throw .validTooLong }
        guard claims.issuedAt <= time + settings.leeway, (notBefore ?? 0) <= time + settings.leeway else { throw .notYetValid }
        guard time < claims.expiresAt + settings.leeway else { throw .expired }
    }

    // MARK: Tokens that were seen before

    private func recall(_ hash: SHA256Digest) -> TokenClaims? {
        known.withLock { known -> TokenClaims? in
            if let claims = known.fresh[hash] { return claims }
            guard let claims = known.old.removeValue(forKey: hash) else { return nil }
            known.add(claims, hash, max: Self.knownMax / 2)
            return claims
        }
    }

    private func remember(_ claims: TokenClaims, _ hash: SHA256Digest) {
        known.withLock { $0.add(claims, hash, max: Self.knownMax / 2) }
    }

    // MARK: The provider's keys

    /// Takes up another file of keys. One that cannot be used leaves the keys as they are: a provider's file that is just being written locks nobody out.
    private func lookAtKeySet() {
        guard settings.keySetFile != nil else { return }
        let isDue = keys.withLock { keys in
            let time = now()
            guard abs(time - keys.lookedAt) >= Self.lookInterval else { return false }
            keys.lookedAt = time
            return true
        }
        if isDue { try? readKeySet() }
    }

    /// Reads the file of keys now, if it is another one. Tokens that were checked with keys that are gone are checked anew.
    package func readKeySet() throws(TokenSettingsError) {
        guard let path = settings.keySetFile else { return }
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path), let size = (attributes[.size] as? NSNumber)?.uint64Value else {
            throw .keySetMissing
        }
        guard size <= Self.keySetBytesMax else { throw .keySetTooLarge }
        let version = FileVersion(
            modified: (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0, size: size,
            number: (attributes[.systemFileNumber] as? NSNumber)?.uint64Value ?? 0)
        guard keys.withLock({ $0.fileVersion != version }) else { return }
        guard let data = FileManager.default.contents(atPath: path) else { throw .keySetMissing }
        let new = try TokenKey.keys(ofSet: Array(data))
        keys.withLock { keys in
            keys.provider = new
            keys.fileVersion = version
        }
        known.withLock { $0 = Known() }
    }
}
