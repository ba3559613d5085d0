import ArgumentParser
import ControlAPI

/// `pgmosaic reshard plan`
struct ReshardPlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "What a job would move, and about how much of it there is; nothing is changed.",
        discussion: """
              pgmosaic reshard plan split east --to west
              pgmosaic reshard plan merge east,west --to north
              pgmosaic reshard plan move east --to west --vnodes 17,18
            """)

    enum Kind: String, ExpressibleByArgument, CaseIterable { case split, merge, move }

    @Argument(help: "split, merge or move.") var kind: Kind
    @Argument(help: "The source; of a merge, several with commas between them.") var source: String
    @Option(name: .customLong("to"), help: "The target; of a split, several with commas between them.") var target: String
    @Option(help: "Of a split into one target: the token from which on it gets everything.") var at: String?
    @Option(help: "Of a move: ids of vnodes with commas between them.") var vnodes: String?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard plan") { client in
            let answer = try await client.send(
                .get, "\(ReshardCommand.path)/plan",
                query: [("type", kind.rawValue), ("source", source), ("target", target), ("split_point", at), ("vnodes", vnodes)])
            options.show(JSONText(answer)) { Self.text(answer) }
        }
    }

    static func text(_ plan: JSONValue) -> String {
        var table = TextTable(["FROM", "TO", "VNODES", "OF THE SHARD", "OF THE RING", "ROWS, ABOUT", "BYTES, ABOUT"], right: [2, 3, 4, 5, 6])
        for move in plan["moves"]?.arrayValue ?? [] {
            table.add([
                move.cell("source_shard"), move.cell("target_shard"), move.cell("vnodes"), JobText.percent(move["share_of_source"]),
                JobText.percent(move["share_of_ring"]), move["row_estimate"]?.integerValue.map { Progress.grouped(Int($0)) } ?? "unknown",
                move["byte_estimate"]?.integerValue.map(JSONValue.shownBytes) ?? "unknown",
            ])
        }
        var lines = [table.text]
        if let cuts = plan["cuts"]?.integerValue, cuts > 0 { lines.append("\(cuts) vnode\(cuts == 1 ? " is" : "s are") cut in two for it") }
        if let retiring = plan["retiring"], retiring.arrayValue?.isEmpty == false { lines.append("owning nothing afterwards: \(retiring.shown)") }
        if let conflict = plan["conflict"]?.stringValue { lines.append("in the way: job \(TextTable.printable(conflict))") }
        return lines.joined(separator: "\n")
    }
}
