/// Who may use the REST API, and how callers prove who they are.
package struct AuthSettings: Hashable, Sendable {
    /// `none`: whoever reaches the port may do everything.
    package enum Mode: String, Hashable, Sendable { case token, none }

    package var mode: Mode
    /// `env:NAME` or `file:PATH`; nil: follows from the key of `secrets.key_file`.
    package var secret: String?
    package var issuer: String
    package var audience: String
    package var lifetime: Duration
    package var leeway: Duration
    package var keySetFile: String?
    package var keySetIssuer: String?
    package var isInsecure: Bool

    init(_ values: ResolvedSettings) {
        typealias Name = SettingsCatalogue
        mode = values.choice(Name.httpAuth)
        secret = values.path(Name.authSecret)
        issuer = values.text(Name.authIssuer)
        audience = values.text(Name.authAudience)
        lifetime = values.duration(Name.authLifetime)
        leeway = values.duration(Name.authLeeway)
        keySetFile = values.path(Name.authKeySetFile)
        keySetIssuer = values.path(Name.authKeySetIssuer)
        isInsecure = values.boolean(Name.insecure)
    }

    /// Beyond loopback nothing is open unless somebody says that it may be.
    func check(httpHost: String, hasTLS: Bool) throws(ConfigError) {
        if let secret, !secret.hasPrefix("env:"), !secret.hasPrefix("file:") { throw ConfigError("auth.secret", .invalid(expected: "env:NAME or file:PATH")) }
        if keySetFile != nil, keySetIssuer == nil { throw ConfigError("auth.jwks_file", .inconsistent("needs auth.jwks_issuer")) }
        if issuer.isEmpty || audience.isEmpty { throw ConfigError("auth.issuer", .inconsistent("auth.issuer and auth.audience must not be empty")) }
        if keySetIssuer == issuer { throw ConfigError("auth.jwks_issuer", .inconsistent("must differ from auth.issuer")) }
        guard !isInsecure, !Self.isLoopback(httpHost), mode == .none || !hasTLS else { return }
        throw ConfigError(
            "http.host", .inconsistent("\(httpHost) is beyond loopback, which needs http.auth token, http.tls_certificate_file and http.tls_key_file, or insecure true"))
    }

    package static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
