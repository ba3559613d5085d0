internal import Crypto

/// What a server keeps of a password for SCRAM-SHA-256: enough to check one, not enough to use it elsewhere.
///
/// Its text form is PostgreSQL's (pg_authid.rolpassword): `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
package struct ScramVerifier: Hashable, Sendable {
    /// PostgreSQL's SCRAM_DEFAULT_ITERATIONS.
    package static let iterationsDefault = 4096
    /// PostgreSQL's SCRAM_DEFAULT_SALT_LEN.
    package static let saltLength = 16

    package let iterations: Int
    package let salt: [UInt8]
    package let storedKey: [UInt8]
    package let serverKey: [UInt8]

    package init(iterations: Int, salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
        self.iterations = iterations
        self.salt = salt
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// The verifier of `password`. `salt` is fresh and random.
    package static func make(password: String, salt: [UInt8], iterations: Int = iterationsDefault) -> ScramVerifier {
        let keys = ScramKeys(password: password, salt: salt, iterations: iterations)
        return ScramVerifier(iterations: iterations, salt: salt, storedKey: keys.storedKey, serverKey: keys.serverKey)
    }

    /// nil for anything but a well-formed SCRAM-SHA-256 verifier.
    package static func parse(_ text: String) -> ScramVerifier? {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "SCRAM-SHA-256" else { return nil }
        let parameters = parts[1].split(separator: ":", omittingEmptySubsequences: false)
        let keys = parts[2].split(separator: ":", omittingEmptySubsequences: false)
        guard parameters.count == 2, keys.count == 2, let iterations = Int(parameters[0]), iterations > 0,
            let salt = Base64.decode(parameters[1]), !salt.isEmpty,
            let storedKey = Base64.decode(keys[0]), storedKey.count == SHA256.byteCount,
            let serverKey = Base64.decode(keys[1]), serverKey.count == SHA256.byteCount
        else { return nil }
        return ScramVerifier(iterations: iterations, salt: salt, storedKey: storedKey, serverKey: serverKey)
    }

    /// A verifier for a user that does not exist, so that the exchange looks the same; no password fits it (RFC 5802 asks for this in section 9).
    ///
    /// The salt depends on the name and on `secret`, a random value kept by the server: a user asked for twice shows the same salt.
    package static func mock(user: String, secret: [UInt8], iterations: Int = iterationsDefault) -> ScramVerifier {
        let salt = Array(ScramKeys.hmac("salt\0" + user, key: secret).prefix(saltLength))
        return ScramVerifier(
            iterations: iterations, salt: salt, storedKey: ScramKeys.hmac("stored\0" + user, key: secret),
            serverKey: ScramKeys.hmac("server\0" + user, key: secret))
    }

    /// PostgreSQL's text form. Secret.
    package var text: String {
        "SCRAM-SHA-256$\(iterations):\(Base64.encode(salt))$\(Base64.encode(storedKey)):\(Base64.encode(serverKey))"
    }
}

extension ScramVerifier: CustomStringConvertible {
    package var description: String { "SCRAM-SHA-256 verifier" }
}
