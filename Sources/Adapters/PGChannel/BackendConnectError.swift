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

    package enum AuthenticationFailure: Hashable, Sendable {
        case passwordRequired
        case unsupportedMethod(code: Int32)
        case unsupportedMechanisms
        case scram(ScramError)
        /// Cleartext over an unprotected line that is not local: refused, so that a false server cannot ask for it.
        case cleartextRefused
        /// The server let us in before its SCRAM exchange was finished.
        case exchangeSkipped
    }

    package enum TLSFailure: Error, Sendable {
        /// The server has no TLS and the endpoint's sslmode asks for it.
        case notOffered
        /// Bytes behind the server's answer to SSLRequest: somebody puts plain text before the encrypted one (CVE-2021-23222).
        case unencryptedBytes
        case configuration(any Error)
        case handshake(any Error)
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
        }
    }
}
