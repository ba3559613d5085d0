internal import Crypto
package import Foundation

/// Seals short secrets (shard passwords) so that the catalog, its backups and its readers do not hold them in the clear.
///
/// AES-256-GCM with a random nonce. What is sealed is bound to a context (the endpoint it belongs to): moved to another endpoint, it does not open, so that
/// somebody who can write the catalog cannot have a password sent to a server of theirs.
///
/// While keys are rotated there are several: the first one seals, and each of them opens.
package struct SecretBox: Sendable {
    private let key: SymmetricKey
    /// Open what was sealed before, or by a manager that has the keys in another order.
    private var others: [SymmetricKey] = []

    /// Precondition: 32 bytes.
    package init(key: [UInt8]) {
        precondition(key.count == 32)
        self.key = SymmetricKey(data: key)
    }

    /// Seals as before, and opens what any of `boxes` would open as well.
    package func accepting(_ boxes: [SecretBox]) -> SecretBox {
        var box = self
        box.others += boxes.flatMap { [$0.key] + $0.others }.filter { $0 != key }
        return box
    }

    /// Of each key alone, the sealing one first.
    package var parts: [SecretBox] { ([key] + others).map { key in SecretBox(key: key.withUnsafeBytes { Array($0) }) } }

    /// Text for a URL: base64url of nonce, ciphertext and tag.
    package func seal(_ secret: String, context: String) -> String {
        do {
            let box = try AES.GCM.seal(Array(secret.utf8), using: key, authenticating: Array(context.utf8))
            guard let combined = box.combined else { preconditionFailure("a nonce of 12 bytes always combines") }
            return Base64URL.encode(combined)
        } catch {
            preconditionFailure("AES-GCM seals any text of this length")
        }
    }

    /// A key for another purpose, from which this one cannot be found (HKDF, RFC 5869).
    func derived(_ purpose: String) -> [UInt8] {
        HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Array(purpose.utf8), outputByteCount: 32).withUnsafeBytes { Array($0) }
    }

    /// For the lines of audit trails.
    package var auditKey: [UInt8] { derived("pgmosaic audit trail") }

    /// For what servers tell each other of their callers: the one to sign with first.
    package var callerKeys: [[UInt8]] { parts.map { $0.derived("pgmosaic first caller") } }

    package func open(_ sealed: String, context: String) throws(SecretError) -> String {
        guard let bytes = Base64URL.decode(sealed), let box = try? AES.GCM.SealedBox(combined: bytes) else { throw SecretError(.sealedElsewhere) }
        for key in [key] + others {
            guard let plain = try? AES.GCM.open(box, using: key, authenticating: Array(context.utf8)) else { continue }
            guard let text = String(validating: plain, as: UTF8.self) else { break }
            return text
        }
        throw SecretError(.sealedElsewhere)
    }

    // MARK: bytes

    /// What only who has the key can make of `bytes` (HMAC-SHA256).
    ///
    /// - purpose: tells kinds of codes apart.
    package func code(of bytes: Data, purpose: String) -> Data {
        Data(HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: derived(purpose))))
    }

    /// By any of the keys.
    package func isCode(_ code: Data, of bytes: Data, purpose: String) -> Bool {
        parts.contains { HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: bytes, using: SymmetricKey(data: $0.derived(purpose))) }
    }

    /// Longer secrets, under a key of their own that follows from this one.
    ///
    /// - purpose: tells kinds of sealed bytes apart; one kind does not open as another.
    package func seal(_ bytes: Data, purpose: String, context: String) -> Data {
        let sealed = try? AES.GCM.seal(bytes, using: SymmetricKey(data: derived(purpose)), authenticating: Array(context.utf8)).combined
        guard let sealed else { preconditionFailure("AES-GCM seals up to 64 GB, and a nonce of 12 bytes always combines") }
        return sealed
    }

    /// Throws `.sealedElsewhere` for another key, purpose or context, and for bytes of which one was changed.
    package func open(_ sealed: Data, purpose: String, context: String) throws(SecretError) -> Data {
        guard let box = try? AES.GCM.SealedBox(combined: sealed) else { throw SecretError(.sealedElsewhere) }
        for part in parts {
            let key = SymmetricKey(data: part.derived(purpose))
            if let plain = try? AES.GCM.open(box, using: key, authenticating: Array(context.utf8)) { return plain }
        }
        throw SecretError(.sealedElsewhere)
    }
}

/// RFC 4648 base64 with the alphabet for URLs, without padding.
enum Base64URL {
    static func encode(_ data: Data) -> String {
        data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
    static func decode(_ text: String) -> Data? {
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: standard + String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
    }
}
