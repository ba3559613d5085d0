package import NIOCore
package import PGWire

/// Why no session with a server came about. Nothing was run.
package enum BackendConnectError: Error, Sendable {
    /// Nothing listens there, or the name does not resolve.
    case unreachable(any Error)
    case timedOut(TimeAmount)
    /// The server said why: authentication, no such database, too many connections, starting up.
    case refused(ServerError)
    case authentication(AuthenticationFailure)
    case tls(TLSFailure)
    /// The other side does not speak the protocol.
    case protocolViolation(WireError)
    /// The server closed the connection without a word.
    case closed
    case endpoint(EndpointError)
    /// `AddressPolicy` does not let it be connected to.
    case addressRefused(String)

    package enum AuthenticationFailure: Hashable, Sendable, CustomStringConvertible {
        case passwordRequired
        case unsupportedMethod(code: Int32)
        case unsupportedMechanisms
        case scram(ScramError)
        /// Cleartext over an unprotected line that is not local: refused, so that a false server cannot ask for it.
        case cleartextRefused
        /// What a reference of the catalog leads to, as text: refused, so that a false server cannot read files of ours.
        case referenceAsText
        /// The server let us in before its SCRAM exchange was finished.
        case exchangeSkipped

        package var description: String {
            switch self {
            case .passwordRequired: "the server asks for a password and none is given"
            case .unsupportedMethod(let code): "the server asks for a method that is not supported (code \(code))"
            case .unsupportedMechanisms: "the server offers no SASL mechanism that is supported"
            case .scram(let error): "SCRAM failed: \(error)"
            case .cleartextRefused: "the server asks for the password as text over a line without TLS; use sslmode=require, or sslmode=disable to allow it"
            case .referenceAsText:
                "the server asks for the password as text, and what env: or file: refers to is not sent so; let it ask by scram-sha-256, or give the password itself"
            case .exchangeSkipped: "the server did not prove that it knows the password"
            }
        }
    }

    package enum TLSFailure: Error, Sendable, CustomStringConvertible {
        /// The server has no TLS and the endpoint's sslmode asks for it.
        case notOffered
        /// Bytes behind the server's answer to SSLRequest: somebody puts plain text before the encrypted one (CVE-2021-23222).
        case unencryptedBytes
        case configuration(any Error)
        case handshake(any Error)

        package var description: String {
            switch self {
            case .notOffered: "the server offers none, and sslmode demands it"
            case .unencryptedBytes: "bytes came in the clear behind the server's answer"
            case .configuration(let error): "it cannot be set up: \(error)"
            case .handshake(let error): "\(error)"
            }
        }
    }

    /// Trying again later may help, without anybody changing a setting.
    package var isTransient: Bool {
        switch self {
        case .unreachable, .timedOut, .closed: true
        case .refused(let error):
            switch error.sqlState {
            case .cannotConnectNow, .tooManyConnections, .adminShutdown, .crashShutdown: true
            default: error.sqlState.classCode == "53"
            }
        default: false
        }
    }

    package var sqlState: SQLState {
        switch self {
        case .refused(let error): error.sqlState
        case .authentication: .invalidAuthorizationSpecification
        case .protocolViolation: .protocolViolation
        default: .unableToEstablishConnection
        }
    }
}

extension BackendConnectError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let error): "the server is not reachable: \(error)"
        case .timedOut: "the server did not answer in time"
        case .refused(let error): "the server refused the connection: \(error.sqlState.code) \(error.message)"
        case .authentication(let failure): "authentication failed: \(failure)"
        case .tls(let failure): "TLS failed: \(failure)"
        case .protocolViolation(let error): "the server does not speak the PostgreSQL protocol: \(error)"
        case .closed: "the server closed the connection"
        case .endpoint(let error): "\(error)"
        case .addressRefused(let reason): "\(reason), which is not connected to"
        }
    }
}
