import ArgumentParser
import ControlAPI
import NIOCore
import ShardModel

/// `pgmosaic query`
struct QueryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Run one statement through a router and print its rows.",
        discussion: """
              pgmosaic query "SELECT order_id, total FROM orders WHERE customer_id = $1" --param 42
              pgmosaic query "INSERT INTO orders (customer_id, order_id) VALUES ($1, $2)" --param 42 --param 7
              pgmosaic query "SELECT name FROM customers WHERE email = $1" --param ada@example.com --json
              pgmosaic query - < statement.sql
            """)

    @OptionGroup var statement: StatementInput
    @Option(help: ArgumentHelp("Longest run, in milliseconds.", valueName: "ms")) var timeoutMs: Int64?
    @Option(help: "Most rows; a larger result is an error, never a part.") var maxRows: Int64?
    @Option(help: "strong or eventual. (the database's)") var consistency: Consistency?
    @OptionGroup var options: RouterOptions

    func validate() throws {
        for (name, value) in [("--timeout-ms", timeoutMs), ("--max-rows", maxRows)] {
            if let value, value < 1 { throw ValidationError("\(name) takes a number above 0") }
        }
    }

    func run() async throws {
        try await options.reportingErrors(of: "query") { client in
            // With --json the rows are objects, unless two columns have one name; for the table only their order matters.
            let settings = ExecuteRequest.Options(
                timeoutMilliseconds: timeoutMs, rowFormat: options.json ? .objects : .arrays, rowsMax: maxRows)
            let request = try statement.request(settings, consistency: consistency)
            // The router keeps the time; ours only ends the wait for a router that has gone.
            let limit = timeoutMs.map { TimeAmount.milliseconds($0) + .seconds(10) } ?? .hours(24)
            let answer = try await client.send(.post, "/v1/execute", body: request.json, timeLimit: limit)
            options.show(JSONText(answer)) { Self.text(answer) }
        }
    }

    private static let numeric: Set<String> = ["int2", "int4", "int8", "float4", "float8", "numeric", "oid", "money"]

    static func text(_ answer: JSONValue) -> String {
        let columns = answer["columns"]?.arrayValue ?? []
        let rows = answer["rows"]?.arrayValue ?? []
        let place = answer["shard_id"]?.stringValue.map { ", \($0)" } ?? ""
        let time = ", \(answer.cell("latency_ms")) ms"
        guard !columns.isEmpty else {
            let affected = answer["affected_rows"]?.integerValue ?? 0
            return "\(affected) row\(affected == 1 ? "" : "s") affected\(place)\(time)"
        }
        let right = columns.indices.filter { numeric.contains(columns[$0].cell("type")) }
        var table = TextTable(columns.map { $0.cell("name") }, right: Set(right))
        for row in rows { table.add((row.arrayValue ?? []).map(cell)) }
        return table.text + "\n(\(rows.count) row\(rows.count == 1 ? "" : "s")\(place)\(time))"
    }

    /// NULL is told from the empty string.
    private static func cell(_ value: JSONValue) -> String {
        switch value {
        case .null: "NULL"
        case .string(let text): text
        case .bool(let flag): flag ? "t" : "f"
        default: value.text
        }
    }
}
