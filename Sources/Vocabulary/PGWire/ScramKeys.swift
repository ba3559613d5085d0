internal import Crypto

/// The keys that SCRAM-SHA-256 derives from a password (RFC 5802, section 3). Secret.
package struct ScramKeys: Hashable, Sendable {
    package let clientKey: [UInt8]
    package let serverKey: [UInt8]

    /// Hi(): PBKDF2 with HMAC-SHA-256, one block. Costs two hashes an iteration: milliseconds at PostgreSQL's 4,096, so keep what it gives.
    package init(password: String, salt: [UInt8], iterations: Int) {
        let key = SymmetricKey(data: SASLPrep.prepared(password))
        var block = HMAC<SHA256>(key: key)
        block.update(data: salt)
        block.update(data: [0, 0, 0, 1] as [UInt8])
        var round = Array(block.finalize())
        var salted = round
        for _ in 1..<max(1, iterations) {
            round = Array(HMAC<SHA256>.authenticationCode(for: round, using: key))
            for index in salted.indices { salted[index] ^= round[index] }
        }
        clientKey = Self.hmac("Client Key", key: salted)
        serverKey = Self.hmac("Server Key", key: salted)
    }

    package var storedKey: [UInt8] { Array(SHA256.hash(data: clientKey)) }

    static func hmac(_ text: String, key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: SymmetricKey(data: key)))
    }

    static func hash(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

    static func xor(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] { zip(left, right).map { $0 ^ $1 } }
}
