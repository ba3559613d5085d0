package import ControlAPI
package import HTTPTypes

/// A complete answer.
package struct RESTAnswer: Hashable, Sendable {
    package var status: Int
    package var contentType: String?
    package var headers: [HTTPField]
    package var body: [UInt8]

    package static let json = "application/json; charset=utf-8"

    package init(status: Int = 200, contentType: String? = nil, headers: [HTTPField] = [], body: [UInt8] = []) {
        self.status = status
        self.contentType = contentType
        self.headers = headers
        self.body = body
    }

    package static func json(_ answer: some Encodable, status: Int = 200, headers: [HTTPField] = []) -> RESTAnswer {
        RESTAnswer(status: status, contentType: json, headers: headers, body: APICoding.encode(answer))
    }
    package static func json(_ value: JSONValue, status: Int = 200, headers: [HTTPField] = []) -> RESTAnswer {
        RESTAnswer(status: status, contentType: json, headers: headers, body: value.encoded())
    }
    package static func text(_ text: String, contentType: String) -> RESTAnswer {
        RESTAnswer(contentType: contentType, body: Array(text.utf8))
    }
    package static let noContent = RESTAnswer(status: 204)

    package static func error(_ error: APIError, requestID: String) -> RESTAnswer {
        var answer = json(error.body(requestID: requestID), status: error.code.status)
        if let seconds = error.retryAfter, let name = HTTPField.Name("Retry-After") {
            answer.headers.append(HTTPField(name: name, value: String(seconds)))
        }
        // RFC 9110, section 11.6.1.
        if error.code.status == 401 { answer.headers.append(HTTPField(name: .wwwAuthenticate, value: "Bearer")) }
        if !error.allow.isEmpty { answer.headers.append(HTTPField(name: .allow, value: error.allow.joined(separator: ", "))) }
        return answer
    }
}
