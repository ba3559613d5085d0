package import ServerConfig

extension TokenAuthority {
    /// The authority that a server's settings describe; nil where they have none.
    ///
    /// - box: the key of `secrets.key_file`.
    package convenience init?(_ settings: AuthSettings, _ box: SecretBox?) throws(TokenSettingsError) {
        let secret = try settings.secret.map { (reference) throws(TokenSettingsError) in try TokenSettings.secret(at: reference) } ?? box?.tokenSecret
        guard secret != nil || settings.keySetFile != nil else {
            if settings.mode == .token { throw .noKey }
            return nil
        }
        var tokens = TokenSettings(
            issuer: settings.issuer, audience: settings.audience, lifetime: settings.lifetime / .seconds(1), leeway: settings.leeway / .seconds(1),
            secret: secret, keySetFile: settings.keySetFile, providerIssuer: settings.keySetIssuer)
        // A secret of its own does not follow from the keys.
        if settings.secret == nil { tokens.formerSecrets = box?.parts.dropFirst().map(\.tokenSecret) ?? [] }
        try self.init(tokens)
    }
}
