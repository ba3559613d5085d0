package import NIOCore
package import PGWire

/// What the test server says to one statement.
package indirect enum PGTestAnswer: Sendable {
    /// Text rows; every column of type text.
    case rows(columns: [String], rows: [[String?]], tag: String? = nil)
    /// CommandComplete alone: "CREATE TABLE", "UPDATE 3".
    case command(String)
    case empty
    case error(ServerError)
    /// COPY FROM STDIN: takes data until its end, then answers with the number of lines.
    case copyIn
    /// COPY TO STDOUT of these lines.
    case copyOut([String])
    /// Before the answer behind it.
    case notice(ServerError, then: PGTestAnswer)
    case parameterStatus(name: String, value: String, then: PGTestAnswer)
    case notification(NotificationResponse, then: PGTestAnswer)
    case delayed(TimeAmount, PGTestAnswer)
    /// These bytes, whatever they are, and nothing more.
    case raw(ByteBuffer)
    /// No answer until the connection is closed or cancelled; a cancel request gives 57014.
    case stall
    /// The connection is closed without a word.
    case hangUp
}

extension PGTestAnswer {
    package static func error(_ state: SQLState, _ message: String = "scripted error") -> PGTestAnswer {
        .error(ServerError(sqlState: state, message: message))
    }

    var columns: [RowDescription.Column]? {
        switch self {
        case .rows(let columns, _, _): columns.map { RowDescription.Column(name: $0, typeOID: 25) }
        case .notice(_, let answer), .parameterStatus(_, _, let answer), .notification(_, let answer), .delayed(_, let answer): answer.columns
        default: nil
        }
    }
}
