package import ControlAPI
internal import Foundation
internal import Glibc

/// One request over a socket of its own whose answer is read as far, and when, the test wants: chunks undone, line by line.
package final class RawHTTPStream: Sendable {
    /// Only one `read` at a time uses the reader, which keeps what it has read too far.
    private nonisolated(unsafe) var reader: LineReader
    private let descriptor: CInt
    package let status: Int
    package let headers: [String: String]

    private init(_ descriptor: CInt, _ head: HTTPAnswer, _ reader: LineReader) {
        self.descriptor = descriptor
        self.reader = reader
        status = head.status
        headers = head.headers
    }

    deinit { close(descriptor) }

    /// Sends a POST and waits for the head of its answer.
    package static func post(_ path: String, port: Int, headers: [(String, String)] = [], body: JSONValue) async throws -> RawHTTPStream {
        let body = body.encoded()
        var head = "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        let request = Array((head + "\r\n").utf8) + body
        return try await onThread {
            let descriptor = try RawHTTP.connected(to: port)
            do {
                guard request.withUnsafeBytes({ send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }) == request.count else {
                    throw RawHTTPError(description: "the request was not sent")
                }
                var reader = LineReader(descriptor)
                return RawHTTPStream(descriptor, try reader.head(), reader)
            } catch {
                close(descriptor)
                throw error
            }
        }
    }

    /// Runs `body`, which blocks, on a thread of its own.
    package func read<Value: Sendable>(_ body: @escaping @Sendable (inout LineReader) throws -> Value) async throws -> Value {
        try await Self.onThread { try body(&self.reader) }
    }

    /// All lines that are left. Throws where the stream is cut.
    package func lines() async throws -> [JSONValue] {
        try await read { reader in
            var lines: [JSONValue] = []
            while let line = try reader.next() { lines.append(try JSONParser.parse(line)) }
            return lines
        }
    }

    /// Goes without reading any further. The socket itself is closed with the last reference.
    package func leave(_ end: RawHTTP.Leaving) { RawHTTP.prepare(descriptor, for: end) }

    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}

/// Reads an HTTP/1.1 answer from a blocking socket.
package struct LineReader: Sendable {
    private let descriptor: CInt
    private var received: [UInt8] = []
    /// Read position in `received`.
    private var position = 0
    /// Bytes of the chunk that are still to come; nil: a chunk's size line is next.
    private var left: Int?
    /// What is there of the line.
    private var line: [UInt8] = []
    private var isAtEnd = false

    fileprivate init(_ descriptor: CInt) { self.descriptor = descriptor }

    fileprivate mutating func head() throws -> HTTPAnswer {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head.append(try byte()) }
        let answer = try RawHTTP.answer(head)
        if answer.headers["transfer-encoding"] != "chunked" { throw RawHTTPError(description: "not chunked: \(answer.status)") }
        return answer
    }

    /// The next line without its end; nil at the end of a whole answer. Throws where the connection ends before that.
    package mutating func next() throws -> [UInt8]? {
        while !isAtEnd {
            guard let left, left > 0 else {
                try chunkHead()
                continue
            }
            if position == received.count { try fill() }
            let available = received[position..<min(received.count, position + left)]
            guard let end = available.firstIndex(of: 0x0A) else {
                line += available
                position += available.count
                self.left = left - available.count
                continue
            }
            line += available[..<end]
            self.left = left - (end + 1 - position)
            position = end + 1
            defer { line = [] }
            return line
        }
        guard line.isEmpty else { throw RawHTTPError(description: "the last line has no end") }
        return nil
    }

    private mutating func chunkHead() throws {
        if left != nil { _ = (try byte(), try byte()) }
        var text = ""
        while !text.hasSuffix("\r\n") { text.unicodeScalars.append(Unicode.Scalar(try byte())) }
        guard let size = Int(text.dropLast(1), radix: 16) else { throw RawHTTPError(description: "no chunk: \(text)") }
        left = size
        guard size == 0 else { return }
        _ = (try byte(), try byte())
        isAtEnd = true
        left = nil
    }

    private mutating func byte() throws -> UInt8 {
        if position == received.count { try fill() }
        defer { position += 1 }
        return received[position]
    }

    private mutating func fill() throws {
        received = [UInt8](repeating: 0, count: 65536)
        position = 0
        let count = recv(descriptor, &received, received.count, 0)
        received.removeSubrange(max(count, 0)...)
        if count < 0, errno == EAGAIN { throw RawHTTPError(description: "nothing comes") }
        guard count > 0 else { throw RawHTTPError(description: "the answer is cut") }
    }
}
