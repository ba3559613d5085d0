import ArgumentParser
import ControlAPI

/// Why a command that asks a server did not get what it wanted; one line for a person.
struct ClientError: Error, CustomStringConvertible {
    enum Reason {
        /// The server's own error.
        case refused(APIError)
        case unreachable(String)
        /// Something answers there, and it is not what this command talks to.
        case otherServer(String)
        /// The command line's words make no sense together.
        case usage(String)
    }

    let reason: Reason
    /// The error as the server sent it.
    let answer: JSONValue?

    init(_ reason: Reason, answer: JSONValue? = nil) {
        self.reason = reason
        self.answer = answer
    }

    static func usage(_ message: String) -> ClientError { ClientError(.usage(message)) }

    /// Without a shard, a table or the like that is named, a server's message alone does not say which one: it does not repeat what it was sent.
    var description: String {
        switch reason {
        case .refused(let error): Self.describe(error)
        case .unreachable(let message), .otherServer(let message), .usage(let message): message
        }
    }

    private static func describe(_ error: APIError) -> String {
        var text = TextTable.printable(error.message)
        let known = [error.details?["refusal"]?.stringValue, error.sqlstate].compactMap { $0 }
        text += " (\(([error.code.rawValue] + known).joined(separator: ", ")))"
        if let hint = error.details?["hint"]?.stringValue { text += "; hint: \(TextTable.printable(hint))" }
        if error.code == .unauthenticated { text += "; log in with: pgmosaic login NAME" }
        for problem in error.details?["problems"]?.arrayValue?.compactMap(\.stringValue).dropFirst() ?? [] {
            text += "; \(TextTable.printable(problem))"
        }
        return text
    }

    /// Whether the same request may go well in a moment: the server does not answer, or says that it cannot now.
    var isPassing: Bool {
        switch reason {
        case .unreachable: true
        case .refused(let error): error.code.status == 503
        case .otherServer, .usage: false
        }
    }

    var exitStatus: ExitCode {
        switch reason {
        case .refused, .otherServer: ExitStatus.failed
        case .unreachable: ExitStatus.unreachable
        case .usage: ExitStatus.usage
        }
    }
}
