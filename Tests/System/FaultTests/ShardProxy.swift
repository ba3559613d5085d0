import Foundation
import Glibc
import PostgresProcess
import Synchronization
import TestKit

/// Stands between a router and its shards and waits for certain words, to strike at exactly that moment.
///
/// Threads and blocking sockets: what it does must not depend on whether the test's own tasks get to run.
final class ShardProxy: Sendable {
    /// When to strike, seen from the message that holds the words.
    enum Moment: CaseIterable {
        /// The shard does not get it.
        case before
        /// Of several messages sent together the shard gets the first only.
        case behindTheFirst
        /// The shard gets it, and nobody its answer.
        case after
        /// The answer is there, and does not reach the router.
        case answered
    }

    /// Strikes once, at the `count`-th time that the words pass through any of the proxies that share it.
    final class Trap: Sendable {
        private struct State {
            var words = ""
            var moment = Moment.before
            var count = 0
            var strike: (@Sendable () -> Void)?
        }
        private let state = Mutex(State())

        func set(_ words: String, _ moment: Moment, count: Int, _ strike: @escaping @Sendable () -> Void) {
            state.withLock { $0 = State(words: words, moment: moment, count: count, strike: strike) }
        }

        var isSprung: Bool { state.withLock { $0.strike == nil } }

        /// The moment to strike at, when this is the message that was waited for.
        fileprivate func sees(_ bytes: [UInt8]) -> Moment? {
            state.withLock { state in
                guard state.strike != nil, state.count > 0, bytes.contains(Array(state.words.utf8)) else { return nil }
                state.count -= 1
                return state.count == 0 ? state.moment : nil
            }
        }

        fileprivate func spring() { state.withLock { state in exchange(&state.strike, with: nil) }?() }
    }

    let port: Int
    private let target: Int
    private let trap: Trap
    private let listener: Int32

    init(to target: Int, _ trap: Trap) throws {
        self.target = target
        self.trap = trap
        port = try LoopbackPort.free()
        guard let listener = LoopbackSocket.listening(on: port) else { throw POSIXError(.EADDRINUSE) }
        self.listener = listener
        Thread.detachNewThread { self.acceptAll() }
    }

    /// Takes no more connections; those it has end with their peers.
    func close() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else {
                Glibc.close(listener)
                return
            }
            guard let server = LoopbackSocket.connected(to: target) else {
                Glibc.close(client)
                continue
            }
            let pair = Pair(client: client, server: server, trap: trap)
            Thread.detachNewThread { pair.passRequests() }
            Thread.detachNewThread { pair.passAnswers() }
        }
    }

    /// One connection, in both directions.
    private final class Pair: Sendable {
        private let client: Int32
        private let server: Int32
        private let trap: Trap
        private let awaitsAnswer = Atomic(false)

        init(client: Int32, server: Int32, trap: Trap) {
            (self.client, self.server, self.trap) = (client, server, trap)
        }

        deinit {
            Glibc.close(client)
            Glibc.close(server)
        }

        func passRequests() {
            defer { hangUp() }
            while let bytes = LoopbackSocket.receive(client) {
                switch trap.sees(bytes) {
                case nil: guard LoopbackSocket.send(bytes, to: server) else { return }
                case .before:
                    trap.spring()
                    return
                case .behindTheFirst:
                    let length = bytes.count < 5 ? bytes.count : 1 + Int(bytes[1..<5].reduce(0) { $0 << 8 | UInt32($1) })
                    _ = LoopbackSocket.send(Array(bytes.prefix(length)), to: server)
                    trap.spring()
                    return
                case .after:
                    _ = LoopbackSocket.send(bytes, to: server)
                    trap.spring()
                    // The shard goes on with what it has got: hanging up at once could keep it from reading it.
                    usleep(20_000)
                    return
                case .answered:
                    awaitsAnswer.store(true, ordering: .sequentiallyConsistent)
                    guard LoopbackSocket.send(bytes, to: server) else { return }
                }
            }
        }

        func passAnswers() {
            defer { hangUp() }
            while let bytes = LoopbackSocket.receive(server) {
                if awaitsAnswer.load(ordering: .sequentiallyConsistent) {
                    trap.spring()
                    return
                }
                guard LoopbackSocket.send(bytes, to: client) else { return }
            }
        }

        private func hangUp() {
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(server, Int32(SHUT_RDWR))
        }
    }
}
