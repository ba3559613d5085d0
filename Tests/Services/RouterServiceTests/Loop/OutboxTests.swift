import Foundation
import Glibc
import NIOCore
import NIOPosix
import TestKit
import Testing

@testable import RouterService

/// Bytes reach the other end in order, by whichever way.
@Suite struct OutboxTests {
    /// Owns an outbox as a session does, and runs `whenClosed` where the channel first tells of its end.
    private final class Owner: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let outbox = Outbox()
        let whenClosed: (Outbox) -> Void

        init(whenClosed: @escaping (Outbox) -> Void = { _ in }) { self.whenClosed = whenClosed }
        func handlerAdded(context: ChannelHandlerContext) { outbox.attach(context) }
        func handlerRemoved(context: ChannelHandlerContext) { outbox.detach() }
        func channelInactive(context: ChannelHandlerContext) { whenClosed(outbox) }
    }

    /// Counts what goes the channel's way.
    private final class Counter: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var writes = 0
        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            writes += 1
            context.write(data, promise: promise)
        }
    }

    private struct Pair {
        var channel: any Channel
        var peer: CInt
        var outbox: NIOLoopBound<Outbox>
        var counter: NIOLoopBound<Counter>

        func run<Value: Sendable>(_ work: @escaping @Sendable (Outbox, Counter) -> Value) async throws -> Value {
            try await channel.eventLoop.submit { [outbox, counter] in work(outbox.value, counter.value) }.get()
        }
    }

    /// `greeting`: bytes that another handler has written before.
    private func pair(sendBuffer: CInt = 0, greeting: ByteBuffer = ByteBuffer(), whenClosed: @escaping @Sendable (Outbox) -> Void = { _ in })
        async throws -> Pair
    {
        let (mine, peer) = try Self.sockets()
        if var size = Optional(sendBuffer), size > 0 { setsockopt(mine, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size)) }
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let channel = try await ClientBootstrap(group: loop).withConnectedSocket(mine).get()
        let (outbox, counter) = try await channel.eventLoop.submit {
            let (owner, counter) = (Owner(whenClosed: whenClosed), Counter())
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(counter)
            pipeline.writeAndFlush(NIOAny(greeting), promise: nil)
            try pipeline.addHandler(owner)
            return (NIOLoopBound(owner.outbox, eventLoop: channel.eventLoop), NIOLoopBound(counter, eventLoop: channel.eventLoop))
        }.get()
        return Pair(channel: channel, peer: peer, outbox: outbox, counter: counter)
    }

    private static func sockets() throws -> (CInt, CInt) {
        var ends: (CInt, CInt) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &ends) {
            socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, $0.bindMemory(to: CInt.self).baseAddress)
        }
        try #require(made == 0)
        return ends
    }

    /// Reads until the other end closes, with a rest after each `rest` bytes.
    private func readAll(_ socket: CInt, restAfter rest: Int) async -> [UInt8] {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var all: [UInt8] = []
                var chunk = [UInt8](repeating: 0, count: rest)
                while true {
                    let count = read(socket, &chunk, rest)
                    guard count > 0 else { break }
                    all += chunk[..<count]
                    if count == rest { usleep(200) }
                }
                close(socket)
                continuation.resume(returning: all)
            }
        }
    }

    /// `count` bytes that follow each other from `start`, so that a gap or a repetition shows.
    private static func bytes(_ start: Int, _ count: Int) -> ByteBuffer { ByteBuffer(bytes: (start..<(start + count)).map { UInt8($0 % 251) }) }

    @Test(arguments: [UInt64](1...6))
    func theOrderIsKeptHoweverSlowTheReader(seed: UInt64) async throws {
        let pair = try await pair(sendBuffer: 4096, greeting: Self.bytes(0, 150_000))
        async let received = readAll(pair.peer, restAfter: 3000)
        var generator = SeededGenerator(seed: seed)
        var sent = 150_000
        for _ in 0..<400 {
            let count = [1...300, 1...300, 4000...5000, 20_000...90_000].randomElement(using: &generator)!.randomElement(using: &generator)!
            let (start, copies, flushes) = (sent, Bool.random(using: &generator), Bool.random(using: &generator))
            try await pair.run { outbox, _ in
                let bytes = Self.bytes(start, count)
                if copies { outbox.append { $0.writeImmutableBuffer(bytes) } } else { outbox.append(bytes) }
                if flushes { outbox.flush() }
            }
            sent += count
            if sent % 7 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        // The last write's end is the end of all.
        try await pair.run { outbox, _ in outbox.flush() }
        while try await !pair.run({ outbox, _ in outbox.isWrittenOut }) { try await Task.sleep(for: .milliseconds(5)) }
        try await pair.channel.close()
        let all = await received
        #expect(all.count == sent)
        #expect(all == Array(Self.bytes(0, sent).readableBytesView))
    }

    @Test func shortMessagesGoStraightToTheSocket() async throws {
        let pair = try await pair()
        async let received = readAll(pair.peer, restAfter: 65_536)
        let before = try await pair.run { _, counter in counter.writes }
        for number in 0..<50 {
            try await pair.run { outbox, _ in
                outbox.append(Self.bytes(number * 20, 20))
                outbox.flush()
            }
        }
        #expect(try await pair.run { _, counter in counter.writes } == before)
        try await pair.channel.close()
        #expect(await received == Array(Self.bytes(0, 1000).readableBytesView))
    }

    /// The kernel gives the number of a closed socket to the next one that is opened.
    @Test func nothingGoesToTheSocketThatCameAfter() async throws {
        let pair = try await pair { outbox in
            let (next, peer) = try! Self.sockets()
            let third = try! Self.sockets()
            outbox.append(ByteBuffer(string: "stray"))
            outbox.flush()
            for socket in [next, peer, third.0, third.1] {
                var byte: UInt8 = 0
                #expect(recv(socket, &byte, 1, CInt(MSG_DONTWAIT)) == -1)
            }
            for socket in [next, peer, third.0, third.1] { close(socket) }
        }
        try await pair.channel.close()
        close(pair.peer)
    }
}
