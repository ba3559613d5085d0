package import ControlAPI
package import Crypto
package import CryptoExtras
internal import Foundation
internal import Synchronization

/// Makes tokens, good and bad ones.
package enum TokenForge {
    package static let secret = Array("0123456789abcdef0123456789abcdef".utf8)
    package static let start = 1_700_000_000.0
    package static let rsa = makeRSA()
    private static func makeRSA() -> _RSA.Signing.PrivateKey {
        guard let key = try? _RSA.Signing.PrivateKey(keySize: .bits2048) else { preconditionFailure("no key could be made") }
        return key
    }
    package static let p256 = P256.Signing.PrivateKey()
    package static let ed25519 = Curve25519.Signing.PrivateKey()

    /// As they are published, which everybody may read.
    package static var publicKeys: [[UInt8]] {
        [
            Array(rsa.publicKey.pemRepresentation.utf8), Array(rsa.publicKey.derRepresentation), Array(p256.publicKey.rawRepresentation),
            Array(ed25519.publicKey.rawRepresentation),
        ]
    }

    package static func base64(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    package static func claims(_ changes: [String: JSONValue?] = [:]) -> JSONValue {
        var members: [String: JSONValue] = [
            "iss": "pgmosaic", "aud": "pgmosaic", "sub": "ada", "jti": "1", "iat": .integer(Int64(start)), "exp": .integer(Int64(start) + 600),
        ]
        for (name, value) in changes { members[name] = value }
        return .object(members.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) })
    }

    package static func token(_ header: JSONValue, _ claims: JSONValue, sign: ([UInt8]) throws -> [UInt8]) rethrows -> String {
        let signed = base64(header.encoded()) + "." + base64(claims.encoded())
        return signed + "." + base64(try sign(Array(signed.utf8)))
    }

    package static func mac(_ bytes: [UInt8], secret: [UInt8] = secret) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: secret)))
    }

    package static func hs256(_ claims: JSONValue = claims(), header: JSONValue = ["alg": "HS256", "typ": "JWT"], secret: [UInt8] = secret) -> String {
        token(header, claims) { mac($0, secret: secret) }
    }

    package static func rs256(_ claims: JSONValue, header: JSONValue = ["alg": "RS256", "kid": "r"]) throws -> String {
        try token(header, claims) { Array(try rsa.signature(for: SHA256.hash(data: $0), padding: .insecurePKCS1v1_5).rawRepresentation) }
    }

    package static func es256(_ claims: JSONValue, header: JSONValue = ["alg": "ES256", "kid": "e"]) throws -> String {
        try token(header, claims) { Array(try p256.signature(for: SHA256.hash(data: $0)).rawRepresentation) }
    }

    package static func eddsa(_ claims: JSONValue, header: JSONValue = ["alg": "EdDSA", "kid": "d"]) throws -> String {
        try token(header, claims) { Array(try ed25519.signature(for: $0)) }
    }

    /// The public keys, as a provider publishes them.
    package static func keySet(_ names: Set<String> = ["r", "e", "d"]) throws -> String {
        var keys: [JSONValue] = [["kty": "oct", "kid": "s", "k": .string(base64(secret))]]
        let numbers = try rsa.publicKey.getKeyPrimitives()
        if names.contains("r") {
            keys.append(["kty": "RSA", "kid": "r", "use": "sig", "n": .string(base64(numbers.modulus)), "e": .string(base64(numbers.publicExponent))])
        }
        let point = p256.publicKey.rawRepresentation
        if names.contains("e") {
            keys.append(["kty": "EC", "crv": "P-256", "kid": "e", "x": .string(base64(point.prefix(32))), "y": .string(base64(point.suffix(32)))])
        }
        if names.contains("d") { keys.append(["kty": "OKP", "crv": "Ed25519", "kid": "d", "x": .string(base64(ed25519.publicKey.rawRepresentation))]) }
        return JSONValue.object([.init("keys", .array(keys))]).text
    }
}

/// A clock that a test sets.
package final class TestClock: Sendable {
    private let time: Mutex<Double>
    package init(_ time: Double = TokenForge.start) { self.time = Mutex(time) }
    package var now: Double {
        get { time.withLock { $0 } }
        set { time.withLock { $0 = newValue } }
    }
}

/// A file for the time of a test.
package func withFile(_ text: String, _ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "pgmosaic-\(UUID().uuidString)"
    try Data(text.utf8).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
}

extension TokenForge {
    /// What no server may take for a token, for any user; each with a name. `user` is one whose good tokens the server takes.
    package static func bad(secret: [UInt8], user: String, now: Double) -> [(name: String, token: String)] {
        let time = Int64(now)
        func claims(_ changes: [String: JSONValue?] = [:]) -> JSONValue {
            let own: [String: JSONValue?] = ["sub": .string(user), "iat": .integer(time - 5), "exp": .integer(time + 600), "roles": .array(["admin"])]
            return Self.claims(own.merging(changes) { $1 })
        }
        let good = hs256(claims(), secret: secret)
        let unsigned = base64(#"{"alg":"none"}"#.utf8) + "." + base64(claims().encoded()) + "."
        return [
            ("expired", hs256(claims(["iat": .integer(time - 7200), "exp": .integer(time - 3600)]), secret: secret)),
            ("not yet valid", hs256(claims(["nbf": .integer(time + 3600)]), secret: secret)),
            ("of another audience", hs256(claims(["aud": "other"]), secret: secret)), ("of another issuer", hs256(claims(["iss": "other"]), secret: secret)),
            ("of nobody", hs256(claims(["sub": "nobody at all"]), secret: secret)), ("unsigned", unsigned), ("unsigned with something", unsigned + "AAAA"),
            ("with another secret", hs256(claims(), secret: Array(repeating: 7, count: 32))),
            ("with a public key for a secret", hs256(claims(), secret: Array(rsa.publicKey.pemRepresentation.utf8))),
            ("cut off", String(good.dropLast(10))), ("huge", good + String(repeating: "A", count: 10_000)), ("no token", "x"), ("a password", "correct horse"),
        ]
    }
}
