package import NIOCore
package import PGWire

/// A server connection that is authenticated and idle, ready for a handler of its new owner.
package struct EstablishedBackend: Sendable {
    /// Holds no handler but TLS's, where that is used. `autoRead` is off and no read is under way: the owner adds its handler and then reads.
    package let channel: any Channel
    /// The settings the server reported (server_version, TimeZone, …).
    package let parameters: [String: String]
    package let processID: Int32
    package let secretKey: Int32
    /// Bytes that came behind ReadyForQuery (a NOTICE, a ParameterStatus of a reload): to be read before anything from the channel. Mostly empty.
    package let unread: ByteBuffer
    package let isEncrypted: Bool
    /// The server has proved, by SCRAM, that it knows what the password is checked by.
    package let hasProvenItself: Bool

    package var cancelKey: CancelRequest { CancelRequest(processID: processID, secret: secretKey) }
}
