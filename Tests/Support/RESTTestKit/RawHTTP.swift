package import ControlAPI
internal import Foundation
internal import Glibc

/// One HTTP/1.1 exchange over a socket of its own, byte for byte as the test wants it.
package struct HTTPAnswer: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: [UInt8]

    package var json: JSONValue? { try? JSONParser.parse(body) }
    /// nil when the body is not of the one error shape.
    package var error: APIError? { json.flatMap { APIError(body: $0) } }
    package var text: String { String(decoding: body, as: UTF8.self) }
}

package struct RawHTTPError: Error, CustomStringConvertible {
    package let description: String
    package init(description: String) { self.description = description }
}

package enum RawHTTP {
    /// Sends a request with `Connection: close`, and reads until the server closes. On a thread of its own: sockets block, and the threads
    /// of the cooperative pool, with which Dispatch's queues share their limit, are the server's.
    package static func send(
        _ method: String, _ path: String, port: Int, headers: [(String, String)] = [], body: [UInt8] = []
    ) async throws -> HTTPAnswer {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if !body.isEmpty, !headers.contains(where: { $0.0.lowercased() == "content-length" || $0.0.lowercased() == "transfer-encoding" }) {
            head += "Content-Length: \(body.count)\r\n"
        }
        return try await exchange(Array((head + "\r\n").utf8) + body, port: port)
    }

    package static func exchange(_ request: [UInt8], port: Int) async throws -> HTTPAnswer {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try answer(try blockingExchange(request, port: port)) })
            }
        }
    }

    /// How a caller goes that does not wait for its answer.
    package enum Leaving: CaseIterable, Sendable { case closing, resetting, endingItsSending }

    /// Sends a request, waits for `ready`, and leaves.
    package static func leave(
        _ path: String, port: Int, headers: [(String, String)] = [], body: [UInt8], _ end: Leaving, when ready: () async throws -> Void
    ) async throws {
        var head = "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        let request = Array((head + "\r\n").utf8) + body
        let descriptor = try connected(to: port)
        defer { close(descriptor) }
        guard request.withUnsafeBytes({ Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }) == request.count else {
            throw RawHTTPError(description: "the request was not sent")
        }
        try await ready()
        prepare(descriptor, for: end)
        if end == .endingItsSending {
            var byte: UInt8 = 0
            guard recv(descriptor, &byte, 1, 0) == 1 else { throw RawHTTPError(description: "there is no answer") }
        }
    }

    /// What comes before the socket is closed.
    static func prepare(_ descriptor: CInt, for end: Leaving) {
        switch end {
        case .closing: break
        case .resetting:
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        case .endingItsSending: shutdown(descriptor, Int32(SHUT_WR))
        }
    }

    private static func blockingExchange(_ request: [UInt8], port: Int) throws -> [UInt8] {
        let descriptor = try connected(to: port)
        defer { close(descriptor) }
        var sent = 0
        while sent < request.count {
            let count = request[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            // The server may have answered and closed already: then its answer is still there to read.
            guard count > 0 else { break }
            sent += count
        }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EAGAIN { throw RawHTTPError(description: "the server does not close the connection") }
            guard count > 0 else { break }
            received += chunk[0..<count]
            if isComplete(received) { break }
        }
        return received
    }

    /// A socket that waits two minutes for an answer: more than any server here, however busy the machine.
    static func connected(to port: Int) throws -> CInt {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw RawHTTPError(description: "no socket") }
        var limit = timeval(tv_sec: 120, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else {
            close(descriptor)
            throw RawHTTPError(description: "cannot connect: \(errno)")
        }
        return descriptor
    }

    /// Saves waiting for the close where the length is known.
    private static func isComplete(_ bytes: [UInt8]) -> Bool {
        guard let found = try? answer(bytes), let length = found.headers["content-length"].flatMap({ Int($0) }) else { return false }
        return found.body.count >= length
    }

    static func answer(_ bytes: [UInt8]) throws -> HTTPAnswer {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { throw RawHTTPError(description: "no answer, \(bytes.count) bytes") }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, let status = Int(words[1]) else { throw RawHTTPError(description: "no status line") }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2 { headers[pair[0].lowercased()] = String(pair[1].drop { $0 == " " }) }
        }
        return HTTPAnswer(status: status, headers: headers, body: Array(bytes[end.upperBound...]))
    }
}
