import Foundation
import Glibc
import PostgresProcess
import Synchronization
import TestKit

/// A way to a server that a test can cut: connections end, and no new one is taken; or stall: nothing is passed on, and nobody is told. Until it is mended.
///
/// Threads and blocking sockets: it must not depend on whether the test's own tasks get to run.
final class CuttableProxy: Sendable {
    let port: Int
    private let target: Int
    private let listener: Int32

    private struct State {
        var isCut = false
        var isStalled = false
        /// Both ends of each.
        var open: [ObjectIdentifier: Pair] = [:]
    }
    private let state = Mutex(State())

    init(to target: Int) throws {
        self.target = target
        port = try LoopbackPort.free()
        guard let listener = LoopbackSocket.listening(on: port) else { throw POSIXError(.EADDRINUSE) }
        self.listener = listener
        Thread.detachNewThread { self.acceptAll() }
    }

    func cut() {
        let pairs = state.withLock { state in
            state.isCut = true
            defer { state.open = [:] }
            return state.open.values
        }
        for pair in pairs { pair.hangUp() }
    }

    func stall() { state.withLock { $0.isStalled = true } }

    func mend() {
        state.withLock { state in
            state.isCut = false
            state.isStalled = false
        }
    }

    private func awaitPassage() { while state.withLock({ $0.isStalled && !$0.isCut }) { usleep(2000) } }

    /// Takes no more connections; those it has end.
    func close() {
        cut()
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else {
                Glibc.close(listener)
                return
            }
            guard !state.withLock(\.isCut), let server = LoopbackSocket.connected(to: target) else {
                Glibc.close(client)
                continue
            }
            let pair = Pair(client, server) { [weak self] in self?.awaitPassage() }
            let isTaken = state.withLock { state in
                if !state.isCut { state.open[ObjectIdentifier(pair)] = pair }
                return !state.isCut
            }
            if !isTaken { pair.hangUp() }
            Thread.detachNewThread { pair.pass(from: client, to: server) }
            Thread.detachNewThread {
                pair.pass(from: server, to: client)
                self.state.withLock { $0.open[ObjectIdentifier(pair)] = nil }
            }
        }
    }

    private final class Pair: Sendable {
        private let client: Int32
        private let server: Int32
        private let awaitPassage: @Sendable () -> Void

        init(_ client: Int32, _ server: Int32, _ awaitPassage: @escaping @Sendable () -> Void) {
            (self.client, self.server, self.awaitPassage) = (client, server, awaitPassage)
        }

        deinit {
            Glibc.close(client)
            Glibc.close(server)
        }

        func pass(from source: Int32, to target: Int32) {
            while let bytes = LoopbackSocket.receive(source) {
                awaitPassage()
                guard LoopbackSocket.send(bytes, to: target) else { break }
            }
            hangUp()
        }

        func hangUp() {
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(server, Int32(SHUT_RDWR))
        }
    }
}
