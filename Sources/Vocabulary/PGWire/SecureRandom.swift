/// Random bytes from the system, for nonces, salts and keys.
package enum SecureRandom {
    package static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// A nonce as text: 24 printable characters holding 18 random bytes, as many as PostgreSQL's.
    package static func nonce() -> String { Base64.encode(bytes(18)) }
}
