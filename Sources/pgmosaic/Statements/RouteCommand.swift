import ArgumentParser
import ControlAPI

/// `pgmosaic route`: where a statement would go. Exit status 1 when it would be refused.
struct RouteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "Explain where a statement goes and why, without running it. Status 1: it would be refused.",
        discussion: """
              pgmosaic route "SELECT * FROM orders WHERE customer_id = 42"
              pgmosaic route "SELECT * FROM orders WHERE customer_id = $1" --param 42
              pgmosaic route "SELECT count(*) FROM orders"
              pgmosaic route - < migration.sql
            """)

    @OptionGroup var statement: StatementInput
    @OptionGroup var options: RouterOptions

    func run() async throws {
        try await options.reportingErrors(of: "route") { client in
            let request = try statement.request(ExecuteRequest.Options(explain: true))
            let answer = try await client.send(.post, "/v1/execute", body: request.json)
            options.show(JSONText(answer)) { Self.text(answer) }
            if answer["refusal"]?.stringValue != nil { throw ExitStatus.failed }
        }
    }

    static func text(_ explanation: JSONValue) -> String {
        var fields: [(name: String, value: String)] = [("goes to", destination(explanation)), ("why", explanation.cell("reason"))]
        if !explanation.cell("hint").isEmpty { fields.append(("hint", explanation.cell("hint"))) }
        fields.append(("route", explanation.cell("route").replacing("_", with: " ")))
        fields.append(("kind", explanation.cell("kind") + (explanation["writes"]?.boolValue == true ? ", writes" : "")))
        if !explanation.cell("tables").isEmpty { fields.append(("tables", explanation.cell("tables"))) }
        fields.append(("epoch", explanation.cell("epoch")))
        return TextFields.text(fields)
    }

    private static func destination(_ explanation: JSONValue) -> String {
        let refusal = explanation.cell("refusal")
        guard refusal.isEmpty else { return "nowhere: it is refused (\(refusal))" }
        let shards = explanation.cell("shards")
        if shards.isEmpty { return "no shard" }
        return (explanation.cell("route") == "any_shard" ? "any one of " : "") + shards
    }
}
