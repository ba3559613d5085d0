/// Why a SCRAM exchange ended. Says nothing of the password.
package enum ScramError: Error, Hashable, Sendable {
    /// Not a message of RFC 5802, or one at the wrong time.
    case malformed
    case unsupportedMechanism
    /// The client insists on channel binding, which was not offered, or its two statements about it differ.
    case channelBinding
    /// The client was made to believe that the server cannot bind the channel.
    case downgrade
    /// The nonce does not continue the other side's.
    case nonceMismatch
    /// The server asks for more iterations than this client will compute on an event loop (or fewer than one).
    case iterationsOutOfRange
    case wrongPassword
    /// The server could not prove that it knows the password's verifier.
    case serverNotAuthentic
    /// The server named an error (`e=`).
    case refusedByServer
}

/// A SCRAM message: `name=value` attributes between commas.
struct ScramAttributes {
    private let parts: [Substring]

    init(_ text: String) { parts = text.split(separator: ",", omittingEmptySubsequences: false) }

    var count: Int { parts.count }

    /// The value of the attribute at `index`, which must have this name: the order is fixed by the RFC.
    func value(_ name: Character, at index: Int) throws(ScramError) -> Substring {
        guard index < parts.count, parts[index].hasPrefix("\(name)=") else { throw .malformed }
        return parts[index].dropFirst(2)
    }

    func has(_ name: Character, at index: Int) -> Bool { index < parts.count && parts[index].hasPrefix("\(name)=") }

    static func text(_ bytes: [UInt8]) throws(ScramError) -> String {
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else { throw .malformed }
        return text
    }
}
