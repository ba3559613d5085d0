/// What the router says of a statement that asks several shards: a tree, with the shards' own plans for leaves.
package struct ExplainNode: Hashable, Sendable {
    package var title: String
    package var details: [Detail] = []
    /// What PostgreSQL answered to EXPLAIN: lines of text, or a JSON document.
    package var plan: String?
    package var children: [ExplainNode] = []
    /// Of one that has run.
    package var rows: Int?
    package var milliseconds: Double?

    package struct Detail: Hashable, Sendable {
        package var name: String
        package var value: String
        package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    package init(_ title: String, _ details: [Detail] = [], plan: String? = nil, children: [ExplainNode] = []) {
        (self.title, self.details, self.plan, self.children) = (title, details, plan, children)
    }

    // MARK: As text

    /// Indented as PostgreSQL indents its plans.
    package var lines: [String] { lines(indent: 0, isRoot: true) }

    private func lines(indent: Int, isRoot: Bool) -> [String] {
        let before = String(repeating: " ", count: indent), within = String(repeating: " ", count: indent + (isRoot ? 2 : 6))
        var lines = [before + (isRoot ? "" : "->  ") + title + measure]
        lines += details.map { "\(within)\($0.name): \($0.value)" }
        if let plan { lines += plan.split(separator: "\n", omittingEmptySubsequences: false).map { within + $0 } }
        return lines + children.flatMap { $0.lines(indent: within.utf8.count, isRoot: false) }
    }

    private var measure: String {
        let parts = [milliseconds.map { "time=\(Self.text(of: $0))" }, rows.map { "rows=\($0)" }].compactMap(\.self)
        return parts.isEmpty ? "" : "  (actual \(parts.joined(separator: " ")))"
    }

    private static func text(of milliseconds: Double) -> String {
        let thousandths = Int((milliseconds * 1000).rounded())
        let rest = String(thousandths % 1000)
        return "\(thousandths / 1000).\(String(repeating: "0", count: 3 - rest.utf8.count))\(rest)"
    }

    // MARK: As JSON

    /// One document: PostgreSQL's form, an array of one object with "Plan".
    package var document: String { "[{\"Plan\": \(json)}]" }

    private var json: String {
        var members = [("Node Type", Self.quoted(title))] + details.map { ($0.name, Self.quoted($0.value)) }
        if let milliseconds { members.append(("Actual Total Time", Self.text(of: milliseconds))) }
        if let rows { members.append(("Actual Rows", String(rows))) }
        if let plan { members.append(("Explain", plan)) }
        if !children.isEmpty { members.append(("Plans", "[\(children.map(\.json).joined(separator: ", "))]")) }
        return "{\(members.map { "\(Self.quoted($0.0)): \($0.1)" }.joined(separator: ", "))}"
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    // MARK: What PostgreSQL says

    /// How many rows the topmost node of a plan gave when it ran; nil: it has not, or they are not told.
    package static func actualRows(of plan: String, _ format: ExplainOptions.Format) -> Int? {
        let first: Substring
        switch format {
        case .text:
            guard let line = plan.split(separator: "\n").first, let actual = line.firstRange(of: "(actual ") else { return nil }
            guard let rows = line[actual.upperBound...].firstRange(of: "rows=") else { return nil }
            first = line[rows.upperBound...]
        case .json:
            guard let rows = plan.firstRange(of: "\"Actual Rows\": ") else { return nil }
            first = plan[rows.upperBound...]
        }
        // PostgreSQL 18 counts in hundredths, for nodes that run several times.
        return Int(first.prefix { $0.isASCII && $0.isNumber })
    }
}
