internal import ControlAPI
internal import Crypto
internal import CryptoExtras
internal import Foundation

/// A key that tokens are checked with, and the one algorithm that it is for: the token's header chooses among keys and never how one is used.
struct TokenKey: Sendable {
    enum Material: Sendable {
        case hmac(SymmetricKey)
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
    }

    let material: Material
    let id: String?

    var algorithm: String {
        switch material {
        case .hmac: "HS256"
        case .rsa: "RS256"
        case .p256: "ES256"
        case .ed25519: "EdDSA"
        }
    }

    func verifies(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
        switch material {
        case .hmac(let key):
            return HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: bytes, using: key)
        case .rsa(let key):
            return key.isValidSignature(.init(rawRepresentation: signature), for: SHA256.hash(data: bytes), padding: .insecurePKCS1v1_5)
        case .p256(let key):
            // 64 bytes, r and s (RFC 7518, section 3.4).
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: bytes))
        case .ed25519(let key):
            return key.isValidSignature(signature, for: bytes)
        }
    }
}

extension TokenKey {
    /// The usable keys of a JWK Set (RFC 7517): those for signatures by RS256, ES256 or EdDSA. Others are passed over, since a provider may have some
    /// for other uses; a set without a usable one, or with two of one id, is refused. Symmetric keys are never taken from it.
    static func keys(ofSet bytes: [UInt8]) throws(TokenSettingsError) -> [TokenKey] {
        guard let set = try? JSONParser.parse(bytes), let members = set["keys"]?.arrayValue else { throw .keySetMalformed }
        guard members.count <= keysMax else { throw .keySetTooLarge }
        var keys: [TokenKey] = []
        for member in members {
            guard let key = key(of: member) else { continue }
            guard !keys.contains(where: { $0.id == key.id && $0.algorithm == key.algorithm }) else { throw .keySetAmbiguous }
            keys.append(key)
        }
        guard !keys.isEmpty else { throw .keySetUnusable }
        return keys
    }

    static let keysMax = 100

    private static func key(of member: JSONValue) -> TokenKey? {
        func bytes(_ name: String) -> Data? { member[name]?.stringValue.flatMap { Base64URL.decode($0) } }
        if let use = member["use"]?.stringValue, use != "sig" { return nil }
        if let operations = member["key_ops"]?.arrayValue, !operations.contains("verify") { return nil }
        let material: Material
        switch (member["kty"]?.stringValue, member["crv"]?.stringValue) {
        case ("RSA", nil):
            // At least 2048 bits, or the key is not taken.
            guard let n = bytes("n"), let e = bytes("e"), let key = try? _RSA.Signing.PublicKey(n: n, e: e) else { return nil }
            material = .rsa(key)
        case ("EC", "P-256"):
            guard let x = bytes("x"), let y = bytes("y"), x.count == 32, y.count == 32,
                let key = try? P256.Signing.PublicKey(x963Representation: [4] + x + y)
            else { return nil }
            material = .p256(key)
        case ("OKP", "Ed25519"):
            guard let x = bytes("x"), let key = try? Curve25519.Signing.PublicKey(rawRepresentation: x) else { return nil }
            material = .ed25519(key)
        default: return nil
        }
        let key = TokenKey(material: material, id: member["kid"]?.stringValue)
        if let algorithm = member["alg"]?.stringValue, algorithm != key.algorithm { return nil }
        return key
    }
}
