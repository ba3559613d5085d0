package import PGWire

/// Why a call of `PGClient` failed, and whether its statement may have run.
package struct PGClientError: Error, Sendable {
    package enum Cause: Sendable {
        /// The server answered with an error; the statement did not take effect.
        case server(ServerError)
        case connect(BackendConnectError)
        /// The connection was closed, by either side.
        case connectionClosed
        case protocolViolation(WireError)
        case timedOut
        case cancelled
        /// More calls wait than `PGClient.callsMax`.
        case tooManyCalls
        /// The call itself is at fault (too many parameters, a zero byte in the statement, COPY in `query`).
        case invalidCall(String)
        /// The result is larger than `QueryOptions.bytesMax` and may not be truncated.
        case resultTooLarge
        /// The source of `copyIn` failed; the COPY was undone.
        case copySource(any Error)
    }

    package enum Execution: Hashable, Sendable {
        /// Nothing was sent, or the server refused it: safe to try again.
        case didNotRun
        /// Sent without an answer: it may have run, or may still be running.
        case unknown
        /// It ran (in part) before the failure.
        case ran
    }

    package let cause: Cause
    package let execution: Execution

    package init(_ cause: Cause, execution: Execution) {
        self.cause = cause
        self.execution = execution
    }

    /// The server's own error, where that is the cause.
    package var serverError: ServerError? {
        switch cause {
        case .server(let error): error
        case .connect(.refused(let error)): error
        default: nil
        }
    }

    package var sqlState: SQLState {
        switch cause {
        case .server(let error): error.sqlState
        case .connect(let error): error.sqlState
        case .connectionClosed: .connectionFailure
        case .protocolViolation: .protocolViolation
        case .timedOut, .cancelled: .queryCanceled
        case .tooManyCalls: .tooManyConnections
        case .invalidCall: .invalidParameterValue
        case .resultTooLarge: .programLimitExceeded
        case .copySource: .ioError
        }
    }
}

extension PGClientError: CustomStringConvertible {
    package var description: String {
        switch cause {
        case .server(let error): error.description
        case .connect(let error): error.description
        case .connectionClosed: "the connection was closed"
        case .protocolViolation(let error): "the server broke the protocol: \(error)"
        case .timedOut: "the call timed out"
        case .cancelled: "the call was cancelled"
        case .tooManyCalls: "too many calls wait for this connection"
        case .invalidCall(let reason): reason
        case .resultTooLarge: "the result is too large"
        case .copySource: "the source of COPY failed"
        }
    }
}
