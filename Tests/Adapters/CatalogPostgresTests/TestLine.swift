import Foundation
import Glibc
import PostgresProcess
import Synchronization

/// The line between a store and its server, which a test cuts, silences, or makes lose one answer.
///
/// Threads and blocking sockets: what it does must not depend on whether the test's own tasks get to run.
final class TestLine: Sendable {
    enum Mode: Sendable { case open, cut, silent }
    /// What happens to the next request that holds the words.
    enum Loss: Sendable {
        /// The server does not get it; the connection ends.
        case request
        /// The server gets it, and nobody its answer; the connection ends.
        case answer
        /// It is held back, with all that follows on this connection, until `release`; the client gets nothing.
        case delay
    }

    private struct State {
        var mode = Mode.open
        var trap: (words: [UInt8], loss: Loss)?
        var sprung = 0
        var isReleased = false
        var sockets: Set<Int32> = []
    }

    let port: Int
    private let target: Int
    private let listener: Int32
    private let state = Mutex(State())
    private let isEnding = Atomic(false)

    init(to target: Int) throws {
        self.target = target
        port = try LoopbackPort.free()
        listener = Self.socketToLoopback()
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = Self.withAddress(port) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        guard bound == 0, listen(listener, 128) == 0 else { throw POSIXError(.EADDRINUSE) }
        Thread.detachNewThread { self.acceptAll() }
    }

    func set(_ mode: Mode) {
        let sockets = state.withLock { state in
            state.mode = mode
            return mode == .cut ? state.sockets : []
        }
        for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
    }

    func lose(_ loss: Loss, of words: String) { state.withLock { $0.trap = (Array(words.utf8), loss) } }

    func release() { state.withLock { $0.isReleased = true } }

    /// How often the trap has sprung.
    var losses: Int { state.withLock(\.sprung) }

    func close() {
        isEnding.store(true, ordering: .relaxed)
        set(.cut)
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private var mode: Mode { state.withLock(\.mode) }

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else {
                Glibc.close(listener)
                return
            }
            let server = Self.socketToLoopback()
            guard mode != .cut, Self.withAddress(target, { connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }) == 0 else {
                Glibc.close(client)
                Glibc.close(server)
                continue
            }
            state.withLock { $0.sockets.formUnion([client, server]) }
            let pair = Pair(client: client, server: server) { [self] in state.withLock { $0.sockets.subtract([client, server]) } }
            Thread.detachNewThread { self.passRequests(pair) }
            Thread.detachNewThread { self.passAnswers(pair) }
        }
    }

    private final class Pair: Sendable {
        let client: Int32
        let server: Int32
        let losesAnswers = Atomic(false)
        private let ended: @Sendable () -> Void

        init(client: Int32, server: Int32, ended: @escaping @Sendable () -> Void) {
            (self.client, self.server, self.ended) = (client, server, ended)
        }

        deinit {
            ended()
            Glibc.close(client)
            Glibc.close(server)
        }

        func hangUp() {
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(server, Int32(SHUT_RDWR))
        }
    }

    private func passRequests(_ pair: Pair) {
        while let bytes = receive(pair.client) {
            switch trap(bytes) {
            case nil: break
            case .request:
                pair.hangUp()
                return
            case .answer: pair.losesAnswers.store(true, ordering: .sequentiallyConsistent)
            case .delay:
                pair.losesAnswers.store(true, ordering: .sequentiallyConsistent)
                while !state.withLock(\.isReleased), !isEnding.load(ordering: .relaxed) { usleep(2_000) }
                // Its sender has left by now; it arrives all the same.
                _ = pass(bytes, to: pair.server)
                usleep(500_000)
                pair.hangUp()
                return
            }
            guard waitWhileSilent(), pass(bytes, to: pair.server) else { break }
        }
        pair.hangUp()
    }

    private func passAnswers(_ pair: Pair) {
        while let bytes = receive(pair.server) {
            if pair.losesAnswers.load(ordering: .sequentiallyConsistent) { break }
            guard waitWhileSilent(), pass(bytes, to: pair.client) else { break }
        }
        pair.hangUp()
    }

    private func trap(_ bytes: [UInt8]) -> Loss? {
        state.withLock { state in
            guard let trap = state.trap, bytes.contains(trap.words) else { return nil }
            state.trap = nil
            state.sprung += 1
            return trap.loss
        }
    }

    private func waitWhileSilent() -> Bool {
        while mode == .silent, !isEnding.load(ordering: .relaxed) { usleep(2_000) }
        return mode != .cut
    }

    private func receive(_ descriptor: Int32) -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        return count > 0 ? Array(chunk[0..<count]) : nil
    }

    private func pass(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private static func socketToLoopback() -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    private static func withAddress(_ port: Int, _ body: (UnsafePointer<sockaddr>) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) } }
    }
}
