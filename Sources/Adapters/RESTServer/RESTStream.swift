internal import ControlAPI

/// An answer whose body is made while it is sent, in pieces that are asked for one after the other: lines of JSON.
///
/// What makes the pieces is told once when nobody wants further ones, however that came about: with the last reference to the stream.
package final class RESTStream: Sendable {
    package struct Piece: Sendable {
        package var bytes: [UInt8]
        package var isLast: Bool

        package init(bytes: [UInt8], isLast: Bool) {
            self.bytes = bytes
            self.isLast = isLast
        }
    }

    /// A line of JSON each. https://github.com/ndjson/ndjson-spec
    package static let contentType = "application/x-ndjson"

    let first: Piece
    /// Waits for the next piece. An error that is thrown becomes the last line; a cancelled task should get one soon.
    let next: @Sendable () async throws -> Piece
    private let onDrop: @Sendable () -> Void

    /// - first: what there was before the answer's status had to be chosen.
    package init(first: Piece, next: @escaping @Sendable () async throws -> Piece, onDrop: @escaping @Sendable () -> Void) {
        self.first = first
        self.next = next
        self.onDrop = onDrop
    }

    deinit { onDrop() }

    /// The line that ends a stream whose answer could not be completed: the one error shape, marked like every last line.
    static func lastLine(_ error: APIError, requestID: String) -> [UInt8] {
        let end = JSONValue.Member(StreamLines.endMember, .string(StreamLines.End.failed.rawValue))
        return JSONValue.object([end] + (error.body(requestID: requestID).members ?? [])).encoded() + [UInt8(ascii: "\n")]
    }
}

/// What a handler answers that may stream.
package enum RESTReply: Sendable {
    case whole(RESTAnswer)
    case stream(RESTStream)
}

/// What handles one route for callers that accept a stream. Throws as a `RESTHandler` does, as long as nothing is sent.
package typealias RESTStreamHandler = @Sendable (RESTRequest) async throws -> RESTReply
