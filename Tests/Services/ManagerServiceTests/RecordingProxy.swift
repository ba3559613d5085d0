import Foundation
import Glibc
import PostgresProcess
import Synchronization
import TestKit
import Testing

/// Takes connections for a server, and keeps what clients send to it.
final class RecordingProxy: Sendable {
    let port: Int
    private let listener: Int32
    private let sent = Mutex<[UInt8]>([])

    init(to target: Int) throws {
        port = try LoopbackPort.free()
        listener = try #require(LoopbackSocket.listening(on: port))
        Thread.detachNewThread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                guard let server = LoopbackSocket.connected(to: target) else {
                    Glibc.close(client)
                    continue
                }
                let ends = Ends(client, server)
                Thread.detachNewThread { [self] in pump(from: client, to: server, ends, records: true) }
                Thread.detachNewThread { [self] in pump(from: server, to: client, ends, records: false) }
            }
        }
    }

    /// Closes the two sockets once both directions have ended.
    private final class Ends: Sendable {
        private let left = Mutex(2)
        private let sockets: [Int32]

        init(_ client: Int32, _ server: Int32) { sockets = [client, server] }

        func ended() {
            for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
            let isLast = left.withLock { left in
                left -= 1
                return left == 0
            }
            if isLast { for socket in sockets { Glibc.close(socket) } }
        }
    }

    private func pump(from: Int32, to: Int32, _ ends: Ends, records: Bool) {
        while let bytes = LoopbackSocket.receive(from) {
            if records { sent.withLock { $0 += bytes } }
            guard LoopbackSocket.send(bytes, to: to) else { break }
        }
        ends.ended()
    }

    /// All that clients have sent so far.
    var recorded: String { String(decoding: sent.withLock { $0 }, as: UTF8.self) }

    func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
    }
}
