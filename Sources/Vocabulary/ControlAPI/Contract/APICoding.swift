import Foundation

/// The body of a request. Its `CodingKeys` are its fields: what the decoder reads, what the OpenAPI document lists, and all that a
/// client may send (anything else is refused with `UNKNOWN_FIELD`, so that a misspelled option is never silently ignored).
package protocol APIRequest: Decodable, Sendable {
    associatedtype CodingKeys: CodingKey & CaseIterable
}

/// JSON to request types and answer types to JSON.
package enum APICoding {
    /// Throws an `APIError` of 400 that names the field, never its value.
    package static func decode<Request: APIRequest>(_ type: Request.Type, from body: [UInt8]) throws(APIError) -> Request {
        let value = try object(in: body)
        let known = Request.CodingKeys.allCases.map(\.stringValue)
        try refuseUnknownFields(of: value, known: known)
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch let error as DecodingError {
            throw APIError(.invalidRequest, message(for: error, in: value))
        } catch let error as APIError {
            throw error
        } catch {
            throw APIError(.invalidRequest, "the body could not be read")
        }
    }

    /// The body as one JSON object.
    package static func object(in body: [UInt8]) throws(APIError) -> JSONValue {
        let value: JSONValue
        do {
            value = try JSONParser.parse(body)
        } catch {
            throw APIError(
                .invalidJSON, "the body is not JSON: \(error.reason.rawValue)",
                details: ["offset": .integer(Int64(error.offset))])
        }
        guard case .object = value else { throw APIError(.invalidJSON, "the body is \(value.kindName), not an object") }
        return value
    }

    package static func refuseUnknownFields(
        of value: JSONValue, known: [String], within parent: String? = nil
    ) throws(APIError) {
        for member in value.members ?? [] where !known.contains(member.name) {
            let place = parent.map { " in \"\($0)\"" } ?? ""
            throw APIError(
                .unknownField, "unknown field\(place); this request has: \(known.joined(separator: ", "))",
                details: ["field": .string(String(member.name.prefix(64)))])
        }
    }

    /// Compact JSON with members in a fixed order.
    package static func encode(_ answer: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Only a non-finite number could fail here, and no answer type holds a Double without its own rule.
        guard let data = try? encoder.encode(answer) else {
            preconditionFailure("an answer type that JSON cannot hold")
        }
        return Array(data)
    }

    /// For clients: an answer's body as its type.
    package static func decodeAnswer<Answer: Decodable>(_ type: Answer.Type, from body: [UInt8]) throws -> Answer {
        try JSONDecoder().decode(type, from: Data(body))
    }

    private static func message(for error: DecodingError, in body: JSONValue) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, _): return "field \"\(key.stringValue)\" is missing"
        case .valueNotFound(_, let context): return "field \"\(path(context))\" must not be null"
        case .typeMismatch(_, let context): return "field \"\(path(context))\" is of the wrong type"
        // The decoder's own text would repeat the value.
        case .dataCorrupted(let context):
            // For a number that does not fit, the decoder does not say where it is.
            let unfit = body.members?.first { if case .number = $0.value { true } else { false } }
            let field = context.codingPath.isEmpty ? unfit?.name ?? "" : path(context)
            return "field \"\(field)\" has a value that is not allowed; /openapi.json says which are"
        @unknown default: return "the body could not be read"
        }
    }
}

extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let date = try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not an RFC 3339 time"))
        }
        self.init(seconds: date.timeIntervalSince1970)
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
