internal import ControlAPI
internal import Crypto
internal import HTTPTypes

/// By what a request that carries an `Idempotency-Key` is known again when it is repeated, also to another server of the same API.
package struct RequestRepetition: Hashable, Sendable {
    /// Of the caller and its key, in hexadecimal digits: another caller's key of the same text is another.
    package let key: String
    /// Of everything that the request asks for, in hexadecimal digits.
    package let digest: String
}

extension RESTRequest {
    package static let idempotencyKeyName = "Idempotency-Key"

    package var idempotencyKey: String? { HTTPField.Name(Self.idempotencyKeyName).flatMap { headers[$0] } }

    /// The same request under a key that was drawn for it.
    package func with(idempotencyKey key: String) -> RESTRequest {
        var request = self
        if let name = HTTPField.Name(Self.idempotencyKeyName) { request.headers[name] = key }
        return request
    }

    /// nil: the request has no key. Throws an `APIError` of 400 for one that cannot be a key.
    package var repetition: RequestRepetition? {
        get throws(APIError) {
            guard let key = idempotencyKey else { return nil }
            try IdempotencyCache.check(key)
            var keyHash = SHA256()
            // A name cannot hold a line's end.
            keyHash.update(data: Array("\(principal == nil ? 0 : 1)\(principal?.name ?? "")\n\(key)".utf8))
            return RequestRepetition(key: Self.hex(keyHash.finalize()), digest: contentDigest)
        }
    }

    /// Of everything that the request asks for, in hexadecimal digits.
    package var contentDigest: String {
        var hash = SHA256()
        for text in [route.id] + Self.pairs(parameters) + ["?"] + Self.pairs(query) {
            hash.update(data: Array("\(text.utf8.count):\(text)".utf8))
        }
        hash.update(data: body)
        return Self.hex(hash.finalize())
    }

    private static func pairs(_ values: [String: String]) -> [String] { values.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] } }

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.reduce(into: "") { $0 += ($1 < 16 ? "0" : "") + String($1, radix: 16) }
    }
}
