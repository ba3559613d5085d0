internal import Foundation
internal import Glibc
internal import Synchronization

/// The line between a store and its server, which a test cuts, silences, or makes lose one answer.
///
/// Threads and blocking sockets: what it does must not depend on whether the test's own tasks get to run.
package final class TestLine: Sendable {
    package enum Mode: Sendable { case open, cut, silent }
    /// What happens to the next request that holds the words.
    package enum Loss: Sendable {
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

    package let port: Int
    private let target: Int
    private let listener: Int32
    private let state = Mutex(State())
    private let isEnding = Atomic(false)

    /// `port`: a free one, to be listened on.
    package init(to target: Int, on port: Int) throws {
        self.target = target
        self.port = port
        guard let listener = LoopbackSocket.listening(on: port) else { throw TestLineError() }
        self.listener = listener
        Thread.detachNewThread { self.acceptAll() }
    }

    package func set(_ mode: Mode) {
        state.withLock { state in
            state.mode = mode
            guard mode == .cut else { return }
            // Under the lock: a socket is closed behind its leaving the set, and its number may be another's then.
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    package func lose(_ loss: Loss, of words: String) { state.withLock { $0.trap = (Array(words.utf8), loss) } }

    package func release() { state.withLock { $0.isReleased = true } }

    /// How often the trap has sprung.
    package var losses: Int { state.withLock(\.sprung) }

    /// Whether somebody has come to it who has not hung up.
    package var isInUse: Bool { state.withLock { !$0.sockets.isEmpty } }

    package func close() {
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
            guard mode != .cut, let server = LoopbackSocket.connected(to: target) else {
                Glibc.close(client)
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
        while let bytes = LoopbackSocket.receive(pair.client) {
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
                _ = LoopbackSocket.send(bytes, to: pair.server)
                usleep(500_000)
                pair.hangUp()
                return
            }
            guard waitWhileSilent(), LoopbackSocket.send(bytes, to: pair.server) else { break }
        }
        pair.hangUp()
    }

    private func passAnswers(_ pair: Pair) {
        while let bytes = LoopbackSocket.receive(pair.server) {
            if pair.losesAnswers.load(ordering: .sequentiallyConsistent) { break }
            guard waitWhileSilent(), LoopbackSocket.send(bytes, to: pair.client) else { break }
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
}

package struct TestLineError: Error {}
