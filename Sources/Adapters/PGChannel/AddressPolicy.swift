package import NIOCore

/// Which addresses may be connected to. What is checked is the address of the connection itself, so that a name that means another one the next time it is
/// asked for changes nothing.
package enum AddressPolicy: Hashable, Sendable {
    case any
    /// Neither link-local addresses nor those at which clouds tell a machine its secrets, nor what is no machine's address.
    case noMetadata

    /// Why the address is refused; nil: it is not.
    package func refusal(of address: SocketAddress) -> String? {
        guard self == .noMetadata else { return nil }
        switch address {
        // The address's place in sockaddr_in and sockaddr_in6, which is the same everywhere.
        case .v4: return Self.refusal(ofV4: Self.bytes(of: address, 4..<8))
        case .v6: return Self.refusal(ofV6: Self.bytes(of: address, 8..<24))
        case .unixDomainSocket: return nil
        }
    }

    private static func bytes(of address: SocketAddress, _ range: Range<Int>) -> [UInt8] {
        address.withSockAddr { pointer, size in Array(UnsafeRawBufferPointer(start: pointer, count: size)[range]) }
    }

    /// The same for a host's name, whatever it resolves to.
    package func refusal(ofHost host: String) -> String? {
        guard self == .noMetadata else { return nil }
        var name = host.lowercased()
        while name.hasSuffix(".") { name.removeLast() }
        return Self.metadataNames.contains(name) ? "the host is a cloud's metadata service" : nil
    }

    private static let metadataNames: Set<String> = [
        "metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal", "metadata.azure.internal", "metadata.packet.net",
    ]

    private static func refusal(ofV4 bytes: [UInt8]) -> String? {
        switch (bytes[0], bytes[1], bytes[2], bytes[3]) {
        case (169, 254, _, _): "the address is link-local"
        case (0, _, _, _), (224..., _, _, _): "the address is no machine's"
        // Alibaba, Azure, Oracle.
        case (100, 100, 100, 200), (168, 63, 129, 16), (192, 0, 0, 192): "the address is a cloud's metadata service"
        default: nil
        }
    }

    private static func refusal(ofV6 bytes: [UInt8]) -> String? {
        // An address of IPv4 in one of IPv6: mapped, compatible, or by NAT64.
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        let isTranslated = bytes[..<12].elementsEqual([0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0])
        let isCompatible = bytes[..<12].allSatisfy { $0 == 0 } && bytes[12...].contains { $0 != 0 } && !bytes[12...].elementsEqual([0, 0, 0, 1])
        if isMapped || isTranslated || isCompatible { return refusal(ofV4: Array(bytes[12...])) }
        if bytes[0] == 0xFE, bytes[1] & 0xC0 == 0x80 { return "the address is link-local" }
        if bytes[0] == 0xFF || bytes.allSatisfy({ $0 == 0 }) { return "the address is no machine's" }
        // Amazon.
        return bytes.elementsEqual([0xFD, 0, 0x0E, 0xC2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54]) ? "the address is a cloud's metadata service" : nil
    }
}

/// Asks the policy at the moment of the connection: each address that a name resolves to comes by here.
final class AddressGuard: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    struct Refused: Error {
        let reason: String
    }

    private let policy: AddressPolicy

    init(_ policy: AddressPolicy) { self.policy = policy }

    func connect(context: ChannelHandlerContext, to address: SocketAddress, promise: EventLoopPromise<Void>?) {
        if let reason = policy.refusal(of: address) {
            promise?.fail(Refused(reason: reason))
            return context.close(promise: nil)
        }
        context.connect(to: address, promise: promise)
    }
}
