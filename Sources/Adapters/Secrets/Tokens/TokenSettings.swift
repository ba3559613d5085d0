internal import Foundation

/// How tokens are made and checked.
package struct TokenSettings: Sendable {
    /// The `iss` of the cluster's own tokens.
    package var issuer: String
    package var audience: String
    /// How long one of the cluster's own is valid, in seconds.
    package var lifetime: Double
    /// How much clocks may differ, in seconds.
    package var leeway: Double
    /// Of HS256; at least `secretLengthMin` bytes. nil: the cluster has no tokens of its own.
    package var secret: [UInt8]?
    /// Of tokens that are taken as well, while the secret is rotated.
    package var formerSecrets: [[UInt8]] = []
    package var keySetFile: String?
    /// The `iss` of tokens that keys of `keySetFile` sign. Not `issuer`: a provider's word is not the cluster's.
    package var providerIssuer: String?

    package static let secretLengthMin = 32
    /// Tokens that are valid for longer are refused, so that what is revoked need not be remembered for longer.
    package static let lifetimeMax = 24 * 3600.0

    package init(
        issuer: String = "pgmosaic", audience: String = "pgmosaic", lifetime: Double = 3600, leeway: Double = 30, secret: [UInt8]? = nil,
        keySetFile: String? = nil, providerIssuer: String? = nil
    ) {
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime
        self.leeway = leeway
        self.secret = secret
        self.keySetFile = keySetFile
        self.providerIssuer = providerIssuer
    }

    /// A secret that `env:NAME` or `file:PATH` refers to: the variable's text, or the file's without a line end at its end.
    ///
    /// - environment: nil: the process's own.
    package static func secret(
        at reference: String, environment: [String: String]? = nil
    ) throws(TokenSettingsError) -> [UInt8] {
        let environment = environment ?? ProcessInfo.processInfo.environment
        let text: String?
        if reference.hasPrefix("env:") {
            text = environment[String(reference.dropFirst(4))]
        } else if reference.hasPrefix("file:") {
            let path = String(reference.dropFirst(5))
            guard let attributes = try? FileManager.default.attributesOfItem(atPath: path), let mode = attributes[.posixPermissions] as? NSNumber else {
                throw .secretMissing
            }
            guard mode.intValue & 0o077 == 0 else { throw .secretOpenToOthers }
            text = FileManager.default.contents(atPath: path).flatMap { String(data: $0, encoding: .utf8) }
        } else {
            throw .secretNotAReference
        }
        guard let text else { throw .secretMissing }
        let secret = Array(text.utf8.reversed().drop { $0 == 10 || $0 == 13 }.reversed())
        guard secret.count >= secretLengthMin else { throw .secretTooShort }
        return secret
    }
}

extension SecretBox {
    /// A secret for tokens that follows from the key of the shards' passwords and tells nothing of it: managers and routers have the same.
    package var tokenSecret: [UInt8] { derived("pgmosaic tokens 1") }
}

/// Why tokens cannot be made or checked with these settings. Never holds a part of a secret.
package enum TokenSettingsError: String, Error, Hashable, Sendable, CustomStringConvertible {
    case secretNotAReference = "auth.secret must be env:NAME or file:PATH"
    case secretMissing = "what auth.secret refers to does not exist or cannot be read"
    case secretOpenToOthers = "the file of auth.secret can be read by others; its mode must be 0600"
    case secretTooShort = "the secret that auth.secret refers to has less than 32 bytes"
    case noKey = "http.auth token needs auth.secret, secrets.key_file or auth.jwks_file"
    case keySetMissing = "the file of auth.jwks_file cannot be read"
    case keySetMalformed = "the file of auth.jwks_file is no JWK Set"
    case keySetTooLarge = "the file of auth.jwks_file is too large"
    case keySetAmbiguous = "the file of auth.jwks_file has two keys of one id"
    case keySetUnusable = "the file of auth.jwks_file has no key for RS256, ES256 or EdDSA"
    case issuersEqual = "auth.jwks_issuer must be given with auth.jwks_file, and differ from auth.issuer"

    package var description: String { rawValue }
}
