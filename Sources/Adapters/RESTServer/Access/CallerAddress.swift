internal import NIOCore

/// Where a request comes from.
package struct CallerAddress: Hashable, Sendable {
    /// As it is; nil where nobody can say.
    package let full: String?
    /// By which requests and attempts are counted: of IPv6 the network's part, since a household has all of it. Empty where nobody can say.
    package let counted: String

    package static let unknown = CallerAddress(nil)

    init(_ address: SocketAddress?) {
        full = address?.ipAddress
        counted = Self.network(address) ?? full ?? ""
    }

    /// nil: not an address.
    init?(text: String) {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        self.init(address)
    }

    /// nil: not of IPv6.
    private static func network(_ peer: SocketAddress?) -> String? {
        guard case .v6? = peer else { return nil }
        return peer?.withSockAddr { address, _ in
            // sockaddr_in6 has the address behind family, port and flow (RFC 3493, section 3.3).
            let bytes = UnsafeRawBufferPointer(start: UnsafeRawPointer(address) + 8, count: 16)
            // One of IPv4, as a socket for both shows it.
            if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF { return bytes[12..<16].map(String.init).joined(separator: ".") }
            return bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: ":")
        }
    }
}
