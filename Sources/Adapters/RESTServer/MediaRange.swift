internal import Foundation
internal import HTTPTypes

/// What a caller would rather have, as far as the servers have a choice (RFC 9110, section 12.5.1).
enum MediaRange {
    /// Whether the caller asks for lines of JSON: it names them, and does not weigh them below a JSON that it names, too.
    ///
    /// A wildcard asks for nothing in particular, and gets JSON.
    static func prefersStream(_ headers: HTTPFields) -> Bool {
        var weights: [String: Double] = [:]
        for value in headers[values: .accept] {
            for range in value.split(separator: ",") {
                let (type, weight) = parsed(range)
                weights[type] = max(weights[type] ?? 0, weight)
            }
        }
        guard let stream = weights[RESTStream.contentType], stream > 0 else { return false }
        return stream >= weights["application/json"] ?? 0
    }

    /// A weight that is no number counts as none given: 1.
    private static func parsed(_ range: Substring) -> (type: String, weight: Double) {
        let parts = range.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
        return (parts.first ?? "", min(max(weight, 0), 1))
    }
}
