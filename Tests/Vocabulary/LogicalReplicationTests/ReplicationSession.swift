import Foundation
import LogicalReplication
import NIOCore
import PGWire
import TestKit
import Testing

/// A session for replication with a real server that trusts everybody, on a blocking socket.
final class ReplicationSession {
    private let socket: Int32
    private var received = ByteBuffer()
    /// Frames are looked for after each byte instead of each piece.
    var isByteAtATime = false

    init(port: Int) throws {
        socket = try #require(LoopbackSocket.connected(to: port))
        var startup = ByteBuffer()
        startup.writeStartup(
            ([("user", "postgres"), ("database", "postgres")] + ReplicationCommand.sessionParameters)
                .map { StartupMessage.Parameter(name: $0.0, value: $0.1) })
        try send(startup)
        while try next().kind != BackendKind.readyForQuery {}
    }

    deinit { close(socket) }

    /// The rows of the answer, as text.
    func query(_ sql: String) throws -> [[String?]] {
        var message = ByteBuffer()
        message.writeQuery(sql)
        try send(message)
        var rows: [[String?]] = []
        while true {
            let frame = try next()
            switch frame.kind {
            case BackendKind.dataRow: rows.append(try DataRow(body: frame.body).columns.map { $0.map { String(buffer: $0) } })
            case BackendKind.readyForQuery: return rows
            default: break
            }
        }
    }

    func start(_ request: StreamRequest) throws {
        var message = ByteBuffer()
        message.writeQuery(ReplicationCommand.start(request).text)
        try send(message)
        #expect(try next().kind == UInt8(ascii: "W"))
    }

    /// The stream's messages up to the first for which `isLast` holds.
    func stream(_ version: PGOutputVersion, until isLast: (PGOutputMessage) -> Bool) throws -> [PGOutputMessage] {
        var decoder = PGOutputDecoder(version: version)
        var messages: [PGOutputMessage] = []
        while true {
            switch try nextOfStream() {
            case .data(let data):
                messages.append(try decoder.decode(data.payload))
                if isLast(messages[messages.count - 1]) { return messages }
            case .keepalive(let keepalive):
                if keepalive.isReplyRequested { try report(.none) }
            }
        }
    }

    func nextOfStream() throws -> ReplicationMessage {
        let frame = try next()
        try #require(frame.kind == UInt8(ascii: "d"), "\(frame.body.hexDump(format: .compact))")
        return try ReplicationMessage(frame.body)
    }

    func report(_ position: LSN, asksForReply: Bool = false) throws {
        var content = ByteBuffer()
        content.writeStandbyStatusUpdate(
            StandbyStatusUpdate(
                written: position, flushed: position, applied: position, sentAt: ServerTime(unixSeconds: Date().timeIntervalSince1970),
                isReplyRequested: asksForReply))
        var message = ByteBuffer()
        message.writeCopyData(content)
        try send(message)
    }

    /// Ends the stream; the session takes commands again.
    func stop() throws {
        var message = ByteBuffer()
        message.writeCopyDone()
        try send(message)
        while try next().kind != BackendKind.readyForQuery {}
    }

    private func send(_ message: ByteBuffer) throws { try #require(LoopbackSocket.send(Array(message.readableBytesView), to: socket)) }

    private var waiting: ArraySlice<UInt8> = []

    private func next() throws -> Frame {
        while true {
            if let frame = try received.readFrame(limit: 1 << 28) {
                if frame.kind == BackendKind.errorResponse { throw try ServerError(body: frame.body) }
                return frame
            }
            if waiting.isEmpty { waiting = try #require(LoopbackSocket.receive(socket))[...] }
            let count = isByteAtATime ? 1 : waiting.count
            received.writeBytes(waiting.prefix(count))
            waiting = waiting.dropFirst(count)
        }
    }
}
