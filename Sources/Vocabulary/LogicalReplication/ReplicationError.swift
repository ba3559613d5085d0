/// A replication stream holds bytes that are not of the protocol, or messages that cannot stand where they stand.
///
/// Nothing of the message was taken. The stream is of no use behind it: which rows were changed is not known any more. What to do: end the
/// connection and start again from the last stored position; when the same error comes again, fail the job.
package struct ReplicationError: Error, Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable, CaseIterable {
        /// The message ends before its content does.
        case truncated
        case trailingBytes
        case unterminatedString
        /// A name that is not UTF-8: the session must set client_encoding.
        case invalidEncoding
        /// A negative number of columns, values or relations, or one that the rest of the message cannot hold.
        case invalidCount
        /// A negative length.
        case invalidLength
        /// A flag, a kind of value or tuple, or a position that the protocol does not have.
        case invalidValue
        case unknownMessage
        /// A message that the version of the protocol that was asked for does not have, or in the wrong place of a stream.
        case unexpectedMessage
    }

    package let reason: Reason
    /// The message's kind byte; 0 where there was none.
    package let kind: UInt8

    package init(_ reason: Reason, kind: UInt8) {
        self.reason = reason
        self.kind = kind
    }
}

extension ReplicationError: CustomStringConvertible {
    /// Never holds a value of a row.
    package var description: String {
        let kind = (0x21...0x7E).contains(kind) ? "'\(Character(Unicode.Scalar(kind)))'" : "0x" + String(kind, radix: 16)
        return "replication stream: \(reason.rawValue) in message \(kind)"
    }
}
