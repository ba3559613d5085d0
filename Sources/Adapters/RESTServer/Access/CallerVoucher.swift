internal import Crypto
internal import Foundation
internal import HTTPTypes

/// What a server says of the first caller of a request that it passes on, in a field that only who has the cluster's key can make.
///
/// It counts for one request (its operation, parameters, body, token, key of repetition and id), for one process that receives it, and for a short time. Made by
/// `CallerVouchers`, and checked by `VouchedCallers`. docs/decisions/0069-the-first-callers-address.md
struct CallerVoucher: Hashable {
    /// Of the form "1;TIME;NONCE;ADDRESS;CONTENT;MAC".
    static let fieldName = HTTPField.Name("PGMosaic-Caller")
    static let version = "1"
    static let bytesMax = 512

    /// Milliseconds since 1970.
    var time: Int64
    /// Drawn for each attempt: the field is taken once.
    var nonce: String
    var address: String
    /// `RESTRequest.contentDigest`.
    var content: String

    /// What the code is made of beside the voucher: the parts of the request that are known before its body is read.
    struct Envelope {
        var receiver: String
        var method: String
        var token: String
        var idempotencyKey: String
        var requestID: String
    }

    func text(_ envelope: Envelope, key: SymmetricKey) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: signed(envelope), using: key)
        return [Self.version, String(time), nonce, address, content, RESTRequest.hex(code)].joined(separator: ";")
    }

    /// nil: nothing that any key of `keys` has made for this request.
    init?(_ text: String, _ envelope: Envelope, keys: [SymmetricKey]) {
        guard text.utf8.count <= Self.bytesMax else { return nil }
        let parts = text.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 6, parts[0] == Self.version, let time = Int64(parts[1]), let code = Self.bytes(parts[5]) else { return nil }
        self.init(time: time, nonce: parts[2], address: parts[3], content: parts[4])
        let message = signed(envelope)
        guard keys.contains(where: { HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: message, using: $0) }) else { return nil }
    }

    init(time: Int64, nonce: String, address: String, content: String) {
        (self.time, self.nonce, self.address, self.content) = (time, nonce, address, content)
    }

    /// Each part with its length, so that no two lists of parts are one text.
    private func signed(_ envelope: Envelope) -> [UInt8] {
        let parts = [
            Self.version, String(time), nonce, address, content, envelope.receiver, envelope.method, envelope.token, envelope.idempotencyKey, envelope.requestID,
        ]
        return Array(parts.map { "\($0.utf8.count):\($0)" }.joined().utf8)
    }

    private static func bytes(_ hex: String) -> [UInt8]? {
        guard hex.utf8.count == 64 else { return nil }
        let digits = hex.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: 64, by: 2).reduce(into: [UInt8]?([])) { bytes, index in
            guard let high = digits[index], let low = digits[index + 1] else { return bytes = nil }
            bytes?.append(UInt8(high << 4 | low))
        }
    }
}
