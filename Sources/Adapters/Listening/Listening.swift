package import NIOCore
package import NIOPosix

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Listening sockets: how they are opened, and how they are closed without losing a connection.
package enum Listening {
    /// Connections that the kernel holds for us until we accept them.
    private static let backlog: Int32 = 1024
    /// Accepted at a time, before connections that are open get their turn.
    private static let acceptsPerRead: UInt = 16
    /// How long a handshake that is under way when a listener retires may take to end. Shorter than the second after which a client repeats
    /// its first packet, so that the repetition meets the successor.
    package static let handshakeTime = Duration.milliseconds(300)

    /// - sharesPort: other sockets of the same user may listen at the same address, if they say so too (SO_REUSEPORT); the kernel spreads new
    ///   connections over them.
    package static func bootstrap(_ group: any EventLoopGroup, sharesPort: Bool) -> ServerBootstrap {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.maxMessagesPerRead, value: acceptsPerRead)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        return sharesPort ? bootstrap.serverChannelOption(.socketOption(.init(rawValue: SO_REUSEPORT)), value: 1) : bootstrap
    }

    /// Closes a listener. Where it shares its port, no connection is lost by it.
    ///
    /// Linux resets what a closed listener had in its queue, and handshakes that were under way with it. So the listener first lets no new
    /// handshake begin, goes on accepting while those under way end, and is closed when its queue is empty: a client whose first packet was
    /// dropped repeats it after a second, and meets the socket of the successor.
    package static func retire(_ channel: any Channel, sharesPort: Bool) async {
        if sharesPort, await refuseHandshakes(channel) { try? await Task.sleep(for: handshakeTime) }
        try? await channel.close()
    }

    /// Whether bytes of the peer lie unread in the connection's socket. False where that cannot be told.
    ///
    /// Must be called on the channel's event loop.
    package static func hasUnreadBytes(_ channel: any Channel) -> Bool {
        let pipeline = channel.pipeline.syncOperations
        let count = try? pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { socket in
            var byte: UInt8 = 0
            return recv(socket, &byte, 1, CInt(MSG_PEEK) | CInt(MSG_DONTWAIT))
        }
        return (count ?? 0) > 0
    }

    /// Bytes that the connection's socket has taken and that the peer's machine has not acknowledged yet; -1 where that cannot be told.
    ///
    /// Must be called on the channel's event loop.
    package static func unsentBytes(_ channel: any Channel) -> Int {
        #if os(Linux)
        let siocoutq: UInt = 0x5411
        let pipeline = channel.pipeline.syncOperations
        let count = try? pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { socket in
            var count: CInt = 0
            return ioctl(socket, siocoutq, &count) == 0 ? Int(count) : -1
        }
        return count ?? -1
        #else
        return -1
        #endif
    }

    #if os(Linux)
    /// Drops TCP packets that begin a connection (SYN without ACK) before the listener sees them. False where the system does not do that.
    private static func refuseHandshakes(_ channel: any Channel) async -> Bool {
        (try? await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { attachSYNFilter(to: $0) }
        }.get()) == true
    }

    /// linux/filter.h: struct sock_filter.
    private struct Instruction {
        var code: UInt16
        var jumpIfTrue: UInt8 = 0
        var jumpIfFalse: UInt8 = 0
        var operand: UInt32
    }
    /// linux/filter.h: struct sock_fprog.
    private struct Program {
        var length: UInt16
        var instructions: UnsafePointer<Instruction>
    }

    /// A classic BPF program; for a listening socket its input begins with the TCP header.
    private static func attachSYNFilter(to socket: CInt) -> Bool {
        let instructions = [
            Instruction(code: 0x30, operand: 13),  // load the byte of the flags
            Instruction(code: 0x54, operand: 0x12),  // keep SYN and ACK
            Instruction(code: 0x15, jumpIfFalse: 1, operand: 0x02),  // SYN alone?
            Instruction(code: 0x06, operand: 0),  // drop the packet
            Instruction(code: 0x06, operand: .max),  // pass it
        ]
        let attachFilter: CInt = 26
        return instructions.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return false }
            var program = Program(length: UInt16(buffer.count), instructions: base)
            return setsockopt(socket, SOL_SOCKET, attachFilter, &program, socklen_t(MemoryLayout<Program>.size)) == 0
        }
    }
    #else
    private static func refuseHandshakes(_ channel: any Channel) async -> Bool { false }
    #endif
}
