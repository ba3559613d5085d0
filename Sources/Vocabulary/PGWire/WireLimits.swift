/// The longest messages accepted, in bytes, checked before anything is allocated.
///
/// Each counts the whole message: kind byte, length word and body.
package struct WireLimits: Hashable, Sendable {
    /// PostgreSQL's MAX_STARTUP_PACKET_LENGTH.
    package static let startupPacketMaxDefault = 10_000

    /// The first packet of a connection, before anything is known of the peer.
    package var startupPacketMax: Int = WireLimits.startupPacketMaxDefault
    /// Any message of a client that is not authenticated yet (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH).
    package var authenticationMessageMax: Int = 65_535
    /// Any message of an authenticated client.
    package var messageMax: Int = 64 << 20
    /// Query and Parse, which the router must hold as a whole to understand them.
    package var queryMax: Int = 16 << 20
    /// A message of a backend. PostgreSQL builds none beyond 1 GiB (MaxAllocSize); rows that are only forwarded need no memory of that size.
    package var backendMessageMax: Int = 1 << 30

    package init() {}

    /// The limit for a client's message of this kind.
    package func limit(forFrontendKind kind: UInt8) -> Int {
        switch kind {
        case FrontendKind.query, FrontendKind.parse: min(queryMax, messageMax)
        default: messageMax
        }
    }
}
