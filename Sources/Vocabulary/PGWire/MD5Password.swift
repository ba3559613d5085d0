internal import Crypto

/// PostgreSQL's md5 passwords: kept for backends that still ask for them.
package enum MD5Password {
    /// The answer to an md5 request: "md5" and md5(md5(password + user) + salt), both in hexadecimal.
    package static func response(user: String, password: String, salt: [UInt8]) -> String {
        "md5" + hex(Array(storedHash(user: user, password: password).dropFirst(3).utf8) + salt)
    }

    /// As pg_authid holds it: "md5" and md5(password + user).
    package static func storedHash(user: String, password: String) -> String {
        "md5" + hex(Array(password.utf8) + Array(user.utf8))
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: Insecure.MD5.hash(data: bytes).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
