/// A peer broke the protocol. Nothing of the message was acted on; after it the byte stream is of no use, except where `isRecoverable`.
@usableFromInline package struct WireError: Error, Hashable, Sendable {
    @usableFromInline package enum Reason: UInt8, Hashable, Sendable, CaseIterable {
        /// A length word below its own four bytes, or one that contradicts the message.
        case invalidLength
        case messageTooLarge
        /// The body ends before its content does.
        case truncated
        case trailingBytes
        case unterminatedString
        case invalidCount
        case invalidEncoding
        case invalidValue
        case unsupportedFormat
        case unsupportedProtocol
        case missingUser
        case unexpectedMessage
    }

    @usableFromInline package let reason: Reason
    /// The message's kind byte; 0 for startup packets, which have none.
    @usableFromInline package let kind: UInt8

    @inlinable
    package init(_ reason: Reason, kind: UInt8) {
        self.reason = reason
        self.kind = kind
    }

    /// The frame's borders are known, so that a server may answer an error and go on with the next message, as PostgreSQL does.
    package var isRecoverable: Bool {
        switch reason {
        case .invalidLength, .messageTooLarge, .unsupportedProtocol, .missingUser, .unexpectedMessage: false
        default: true
        }
    }

    package var sqlState: SQLState {
        switch reason {
        case .messageTooLarge: .programLimitExceeded
        case .unsupportedProtocol: .featureNotSupported
        case .missingUser: .invalidAuthorizationSpecification
        case .unsupportedFormat: .invalidParameterValue
        case .invalidEncoding: .characterNotInRepertoire
        default: .protocolViolation
        }
    }

    package var message: String {
        switch reason {
        case .invalidLength: "invalid message length"
        case .messageTooLarge: "message exceeds the size limit"
        case .truncated: "insufficient data left in message"
        case .trailingBytes: "invalid message format: trailing bytes"
        case .unterminatedString: "invalid string in message"
        case .invalidCount: "invalid count in message"
        case .invalidEncoding: "invalid byte sequence for encoding \"UTF8\""
        case .invalidValue: "invalid value in message"
        case .unsupportedFormat: "unsupported format code"
        case .unsupportedProtocol: "unsupported frontend protocol"
        case .missingUser: "no PostgreSQL user name specified in startup packet"
        case .unexpectedMessage: "unexpected message"
        }
    }

    /// What the peer is told.
    package var serverError: ServerError {
        ServerError(severity: isRecoverable ? .error : .fatal, sqlState: sqlState, message: message)
    }
}

extension WireError: CustomStringConvertible {
    @usableFromInline package var description: String {
        kind == 0 ? message : "\(message) (kind \(String(kind, radix: 16)))"
    }
}
