internal import ControlAPI
internal import Foundation

/// A token in its three parts (RFC 7515, section 7.1), read strictly and before anything of it is believed.
struct CompactToken {
    /// Longer ones are refused unread. A token of a thousand grants takes less.
    static let lengthMax = 64 << 10

    let algorithm: String
    let keyID: String?
    /// The bytes of the payload, not looked at yet.
    let payload: [UInt8]
    let signature: [UInt8]
    /// What the signature is of.
    let signed: [UInt8]

    init(_ text: String) throws(TokenError) {
        guard text.utf8.count <= Self.lengthMax else { throw .malformed }
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Self.decode(parts[0]), let payload = Self.decode(parts[1]), let signature = Self.decode(parts[2]),
            let header = try? JSONParser.parse(head), let algorithm = header["alg"]?.stringValue
        else { throw .malformed }
        // An extension that must be understood (RFC 7515, section 4.1.11), and we understand none. Keys that a token brings along are never looked at.
        guard header["crit"] == nil, header["b64"] == nil else { throw .malformed }
        if let type = header["typ"] {
            guard let type = type.stringValue?.lowercased(), type == "jwt" || type == "at+jwt" else { throw .malformed }
        }
        if let keyID = header["kid"] {
            guard let keyID = keyID.stringValue else { throw .malformed }
            self.keyID = keyID
        } else {
            keyID = nil
        }
        self.algorithm = algorithm
        self.payload = payload
        self.signature = signature
        signed = Array(text.utf8[..<parts[1].endIndex])
    }

    /// Base64url without padding, in the one way to write it: the last character's unused bits are zero.
    private static func decode(_ part: Substring.UTF8View) -> [UInt8]? {
        let text = String(decoding: part, as: UTF8.self)
        guard !text.isEmpty, let data = Base64URL.decode(text), Base64URL.encode(data) == text else { return nil }
        return Array(data)
    }
}
