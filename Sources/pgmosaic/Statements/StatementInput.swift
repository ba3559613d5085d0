import ArgumentParser
import ControlAPI
import Foundation
import ShardModel

/// A statement with its parameters, as `route` and `query` take it.
struct StatementInput: ParsableArguments {
    @Argument(help: "The statement; - reads it from standard input.") var sql: String
    @Option(
        name: .customLong("param"),
        help: "The value of $1, then of $2 and so on: a JSON number, true, false, null or \"string\"; anything else is the text itself.")
    var params: [String] = []
    @Option(help: "The database; may be left out when there is only one.") var database: String?
    @Option(help: "The key, where the statement does not name it.") var shardKey: String?

    func request(_ options: ExecuteRequest.Options, consistency: Consistency? = nil) throws(ClientError) -> ExecuteRequest {
        ExecuteRequest(
            database: database, shardKey: shardKey.map { Self.scalar($0) }, query: try text(), params: params.map(Self.value),
            consistency: consistency, options: options)
    }

    private func text() throws(ClientError) -> String {
        guard sql == "-" else { return sql }
        let data = (try? FileHandle.standardInput.readToEnd()) ?? Data()
        guard let text = String(data: data, encoding: .utf8) else { throw .usage("standard input is not UTF-8 text") }
        return text
    }

    /// JSON where it is JSON, else the text itself: `42` is a number, `"42"` and `forty-two` are strings.
    static func value(_ text: String) -> JSONValue { (try? JSONParser.parse(Array(text.utf8))) ?? .string(text) }

    /// A key is a string or an integer.
    private static func scalar(_ text: String) -> JSONValue {
        switch value(text) {
        case .integer(let number): .integer(number)
        case .string(let string): .string(string)
        default: .string(text)
        }
    }
}
