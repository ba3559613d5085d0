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
              pgmosaic reshard plan add-shard west
              pgmosaic reshard plan drain-shard west
            """)

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case split, merge, move
        case addShard = "add-shard"
        case drainShard = "drain-shard"

        var namesTarget: Bool { self != .addShard && self != .drainShard }
    }

    @Argument(help: "split, merge, move, add-shard or drain-shard.") var kind: Kind
    @Argument(help: "The source, or the shard that is added or drained; of a merge, several with commas between them.") var source: String
    @Option(name: .customLong("to"), help: "The target; of a split, several with commas between them; not of add-shard and drain-shard.") var target: String?
    @Option(help: "Of a split into one target: the token from which on it gets everything.") var at: String?
    @Option(help: "Of a move: ids of vnodes with commas between them.") var vnodes: String?
    @OptionGroup var options: ManagerOptions

    func validate() throws {
        if kind.namesTarget, target == nil { throw ValidationError("--to must name the target") }
        if !kind.namesTarget, target != nil { throw ValidationError("--to is not for \(kind.rawValue): it is the other shards") }
    }

    func run() async throws {
        try await options.reportingErrors(of: "reshard plan") { client in
            let (source, target): (String?, String?) = kind == .addShard ? (nil, self.source) : (self.source, self.target)
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
        switch plan["sampled_rows"]?.integerValue {
        case 0: lines.append("by tokens: no rows were found")
        case let sampled?: lines.append("by \(Progress.grouped(Int(sampled))) sampled rows")
        case nil: lines.append("by tokens and statistics: the rows could not be sampled")
        }
        if let seconds = plan["seconds_estimate"]?.numberValue { lines.append("the copy would take about \(JobScreen.duration(seconds)), as fast as those of the last jobs") }
        if let retiring = plan["retiring"], retiring.arrayValue?.isEmpty == false { lines.append("owning nothing afterwards: \(retiring.shown)") }
        if let conflict = plan["conflict"]?.stringValue { lines.append("in the way: job \(TextTable.printable(conflict))") }
        return lines.joined(separator: "\n")
    }
}
