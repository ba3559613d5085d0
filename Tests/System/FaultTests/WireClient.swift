import Foundation
import Glibc

/// A client that speaks the protocol by hand, over a blocking socket with a limit: it may break every rule, and sees every byte.
///
/// Its calls run on a thread of their own, so that a server that does not answer holds up no other test.
final class WireClient: @unchecked Sendable {
    struct Message: Equatable, Sendable, CustomStringConvertible {
        var kind: Character
        var body: [UInt8]

        /// The fields of an ErrorResponse or NoticeResponse.
        func field(_ code: Character) -> String? {
            for part in body.split(separator: 0) where part.first == code.asciiValue { return String(decoding: part.dropFirst(), as: UTF8.self) }
            return nil
        }
        var sqlState: String? { kind == "E" || kind == "N" ? field("C") : nil }
        var tag: String? { kind == "C" ? String(decoding: body.dropLast(), as: UTF8.self) : nil }
        /// The transaction status of a ReadyForQuery.
        var status: Character? { kind == "Z" ? Character(UnicodeScalar(body.first ?? 0)) : nil }
        /// The columns of a DataRow as text.
        var row: [String?] {
            var position = 2
            var columns: [String?] = []
            while position + 4 <= body.count {
                let length = Int32(bitPattern: body[position..<(position + 4)].reduce(0) { $0 << 8 | UInt32($1) })
                position += 4
                guard length >= 0 else {
                    columns.append(nil)
                    continue
                }
                columns.append(String(decoding: body[position..<(position + Int(length))], as: UTF8.self))
                position += Int(length)
            }
            return columns
        }
        /// Short enough to compare: the kind, and what identifies an error, a tag or a status.
        var description: String {
            switch kind {
            case "E": "E(\(field("C") ?? "?"))"
            case "C": "C(\(tag ?? "?"))"
            case "Z": "Z(\(status ?? "?"))"
            case "D": "D(\(row.map { $0 ?? "NULL" }.joined(separator: ",")))"
            default: String(kind)
            }
        }
    }

    enum Failure: Error, CustomStringConvertible {
        case timedOut(after: [Message])
        case closed(after: [Message])
        case system(String, Int32)
        var description: String {
            switch self {
            case .timedOut(let messages): "no answer in time, after \(messages)"
            case .closed(let messages): "the connection was closed, after \(messages)"
            case .system(let call, let code): "\(call): errno \(code)"
            }
        }
    }

    /// How long an answer may take: what hangs is told from what a busy machine has not come to.
    static let patience = Duration.seconds(120)

    private let descriptor: Int32
    private var inbox: [UInt8] = []
    private var position = 0
    private(set) var processID: Int32 = 0
    private(set) var secret: Int32 = 0
    private var isOpen = true

    /// A connection that has said nothing yet. `receiveBuffer`: the kernel's, in bytes.
    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure.system("socket", errno) }
        if var receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size)) }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard result == 0 else {
            let code = errno
            Glibc.close(descriptor)
            isOpen = false
            throw Failure.system("connect", code)
        }
    }

    deinit { if isOpen { Glibc.close(descriptor) } }

    /// A session that is ready for queries.
    static func login(port: Int, database: String = "shop", user: String = "test", receiveBuffer: Int32? = nil) async throws -> WireClient {
        let client = try WireClient(port: port, receiveBuffer: receiveBuffer)
        try await client.send(WireMessages.startup(["user": user, "database": database]))
        let greeting = try await client.until("Z", orError: true)
        for message in greeting where message.kind == "K" {
            let words = [message.body[0..<4], message.body[4..<8]].map { Int32(bitPattern: $0.reduce(0) { $0 << 8 | UInt32($1) }) }
            (client.processID, client.secret) = (words[0], words[1])
        }
        return client
    }

    // MARK: Calls

    func send(_ bytes: [UInt8]) async throws { try await onThread { try self.write(bytes) } }

    /// The next message, or nil at the end of the connection.
    func next(within limit: Duration = WireClient.patience) async throws -> Message? {
        try await onThread { try self.read(until: ContinuousClock.now + limit) }
    }

    /// Everything up to a message of this kind. `orError`: or to a FATAL error.
    func until(_ kind: Character, orError: Bool = false, within limit: Duration = WireClient.patience) async throws -> [Message] {
        try await onThread {
            var messages: [Message] = []
            let deadline = ContinuousClock.now + limit
            while true {
                let message: Message?
                do { message = try self.read(until: deadline) } catch Failure.timedOut { throw Failure.timedOut(after: messages) }
                guard let message else { throw Failure.closed(after: messages) }
                messages.append(message)
                if message.kind == kind || orError && message.kind == "E" && message.field("V") == "FATAL" { return messages }
            }
        }
    }

    /// Everything up to the end of the connection, or with `orReady` to a ReadyForQuery.
    func untilEnd(within limit: Duration = WireClient.patience, orReady: Bool = false) async throws -> [Message] {
        try await onThread {
            var messages: [Message] = []
            let deadline = ContinuousClock.now + limit
            while let message = try self.read(until: deadline) {
                messages.append(message)
                if orReady, message.kind == "Z" { break }
            }
            return messages
        }
    }

    /// One simple query's answers, up to ReadyForQuery.
    @discardableResult
    func query(_ sql: String, within limit: Duration = WireClient.patience) async throws -> [Message] {
        try await send(WireMessages.query(sql))
        return try await until("Z", within: limit)
    }

    /// The SQLSTATE of a query that must fail; nil when it succeeds.
    func failure(_ sql: String, within limit: Duration = WireClient.patience) async throws -> String? {
        try await query(sql, within: limit).first { $0.kind == "E" }?.sqlState
    }

    /// The rows of a query.
    func rows(_ sql: String, within limit: Duration = WireClient.patience) async throws -> [[String?]] {
        try await query(sql, within: limit).filter { $0.kind == "D" }.map(\.row)
    }

    /// Sends the CancelRequest of this session, on a connection of its own. `untilTaken`: waits for the end of that connection, as libpq does.
    func cancel(port: Int, untilTaken: Bool = false) async throws {
        let other = try WireClient(port: port)
        try await other.send(WireMessages.cancel(processID: processID, secret: secret))
        if untilTaken { _ = try await other.untilEnd() }
        other.close()
    }

    /// Waits until something has arrived, and leaves it where it is.
    func hasBytes(within limit: Duration = WireClient.patience) async throws {
        try await onThread { try self.wait(for: POLLIN, until: ContinuousClock.now + limit) }
    }

    /// Hangs up without a word.
    func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }

    // MARK: Blocking

    private func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            // The threads of the cooperative pool, with which Dispatch's queues share their limit, are the router's.
            Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
        }
    }

    private func wait(for event: Int32, until deadline: ContinuousClock.Instant) throws {
        let left = ContinuousClock.now.duration(to: deadline)
        var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        let milliseconds = max(0, left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000)
        guard poll(&entry, 1, Int32(clamping: milliseconds)) > 0 else { throw Failure.timedOut(after: []) }
    }

    private func write(_ bytes: [UInt8]) throws {
        var sent = 0
        let deadline = ContinuousClock.now + Self.patience
        while sent < bytes.count {
            try wait(for: POLLOUT, until: deadline)
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) }
            if count > 0 { sent += count } else if errno != EAGAIN, errno != EINTR { throw Failure.system("send", errno) }
        }
    }

    private func read(until deadline: ContinuousClock.Instant) throws -> Message? {
        while true {
            if let message = parse() { return message }
            try wait(for: POLLIN, until: deadline)
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count == 0 { return nil }
            if count < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                // A reset is an end, too.
                return nil
            }
            if position > 1 << 20 {
                inbox.removeFirst(position)
                position = 0
            }
            inbox += chunk[0..<count]
        }
    }

    private func parse() -> Message? {
        guard inbox.count - position >= 5 else { return nil }
        let length = Int(inbox[(position + 1)..<(position + 5)].reduce(0) { $0 << 8 | UInt32($1) })
        guard inbox.count - position >= length + 1 else { return nil }
        let message = Message(kind: Character(UnicodeScalar(inbox[position])), body: Array(inbox[(position + 5)..<(position + 1 + length)]))
        position += length + 1
        if position == inbox.count {
            inbox.removeAll(keepingCapacity: true)
            position = 0
        }
        return message
    }
}
