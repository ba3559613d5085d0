internal import NIOCore
internal import PGWire
internal import RoutePlanning

/// An EXPLAIN at work on every shard: what has been asked, and what the shards have answered.
final class Explanation {
    /// One shard's answers: to the statement, or one for each table that is fetched.
    private struct Part {
        var shard: String
        var plans: [String]
        var milliseconds: Double
    }

    let plan: ExplainPlan
    let origin: GatherOrigin
    /// It runs in transactions of its own, which nothing else is part of.
    let isAlone: Bool
    /// It is the whole transaction of a simple query.
    let isImplicit: Bool
    /// `DatabaseState.moves` at the beginning.
    let moves: UInt64
    /// For the answers of all shards together.
    let budget: AnswerBudget
    /// The names of all shards, in order.
    private let shards: [String]
    private let home: String
    private var parts: [Part] = []
    /// The home shard's plan over the rows that are brought to it, line by line.
    private var homePlan: [String] = []
    /// The first error: what comes after it is passed over.
    var error: ServerError?

    /// The portal's name on the shards, where a client's own may be in use.
    private static let portal = "pgmosaic_plan"

    init(_ plan: ExplainPlan, _ origin: GatherOrigin, shards: [String], home: String, isAlone: Bool, isImplicit: Bool, moves: UInt64, _ budget: AnswerBudget) {
        self.shards = shards
        (self.plan, self.origin, self.home, self.isAlone, self.isImplicit, self.moves, self.budget) = (plan, origin, home, isAlone, isImplicit, moves, budget)
    }

    private var runs: Bool { plan.options.runs }

    // MARK: What is asked

    /// The messages for one shard, answered by one ReadyForQuery.
    func writePart(into buffer: inout ByteBuffer) {
        if let finish = plan.finish { return buffer.writeQuery(finish.sharded.map { plan.options.head + $0.words }.joined(separator: "; ")) }
        let text = (plan.combination?.merge.map(\.text) ?? plan.combination?.partText).map { ByteBuffer(bytes: $0) }
        switch origin {
        case .query(let frame):
            if let text { buffer.writeQuery(text) } else { buffer.writeImmutableBuffer(frame) }
        case .execution(let statement, let bind):
            if let text {
                buffer.writeParse(name: "", query: text, parameterTypes: statement.parameterTypes)
            } else {
                buffer.writeParse(rewriting: statement.parse, name: "")
            }
            let parameters = bind.parameters.enumerated().map { (value: $1, format: bind.format(ofParameter: $0)) }
            buffer.writeBind(portal: Self.portal, statement: "", parameters: parameters, resultFormat: .text)
            buffer.writeExecute(portal: Self.portal)
            buffer.writeClose(.portal, name: Self.portal)
            buffer.writeSync()
        }
    }

    // MARK: What is answered

    func take(_ exchange: Exchange, of shard: String, nanoseconds: UInt64) {
        let plans = exchange.textResults.map { rows in rows.map { $0.first.flatMap(\.self) ?? "" }.joined(separator: "\n") }
        parts.append(Part(shard: shard, plans: plans, milliseconds: Double(nanoseconds) / 1_000_000))
        parts.sort { shards.firstIndex(of: $0.shard) ?? 0 < shards.firstIndex(of: $1.shard) ?? 0 }
    }

    /// A part of the home shard's plan.
    func takeHomes(_ frame: Frame) {
        guard frame.kind == BackendKind.dataRow, let row = try? DataRow(body: frame.body), let line = Array(row.columns).first ?? nil else { return }
        homePlan.append(String(buffer: line))
    }

    /// For the client, up to CommandComplete.
    var answer: ByteBuffer {
        var buffer = ByteBuffer()
        let isText = plan.options.format == .text
        if !origin.isExecution { buffer.writeRowDescription([RowDescription.Column(name: "QUERY PLAN", typeOID: isText ? 25 : 114)]) }
        for line in isText ? root.lines : [root.document] { buffer.writeDataRow(text: [line]) }
        buffer.writeCommandComplete(tag: "EXPLAIN")
        return buffer
    }

    // MARK: The tree

    private var root: ExplainNode {
        let rules = ExplainNode.Detail("Rule", plan.rules.joined(separator: ", "))
        if let finish = plan.finish { return finished(finish, rules) }
        var node = ExplainNode("Across \(parts.count) shards", [rules], children: plans(0))
        if let combination = plan.combination { return combined(combination, node) }
        if runs { node.rows = node.children.compactMap(\.rows).reduce(0, +) }
        return node
    }

    private func combined(_ combination: GatherCombination, _ node: ExplainNode) -> ExplainNode {
        var node = node
        node.details.append(.init(combination.merge == nil ? "Combine on \(home)" : "Merge", combination.words))
        return node
    }

    private func finished(_ finish: FinishPlan, _ rule: ExplainNode.Detail) -> ExplainNode {
        let text = homePlan.joined(separator: "\n")
        let last = ExplainNode("Home shard \(home)" + (finish.fetches ? "" : ", planned over empty tables"), plan: text)
        let fetches = finish.sharded.enumerated().map { number, table in
            ExplainNode("Fetch \(table.name) as pgmosaic_f\(number + 1)", [.init("Query", table.words)], children: plans(number))
        }
        var node = ExplainNode("Finish on \(home)", [rule], children: [last] + fetches)
        node.rows = runs ? ExplainNode.actualRows(of: text, plan.options.format) : nil
        return node
    }

    /// Each shard's answer to the n-th question.
    private func plans(_ number: Int) -> [ExplainNode] {
        parts.map { part in
            let text = part.plans.indices.contains(number) ? part.plans[number] : ""
            var node = ExplainNode("Shard \(part.shard)", plan: text)
            guard runs else { return node }
            node.rows = ExplainNode.actualRows(of: text, plan.options.format)
            // Of all that the shard was asked.
            if plan.options.showsTime, part.plans.count == 1 { node.milliseconds = part.milliseconds }
            return node
        }
    }
}
