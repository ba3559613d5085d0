/// One metric as Prometheus sees it: its name, what it counts and which labels tell its series apart.
package struct MetricFamily: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable { case counter, gauge, histogram }
    /// What the same series of two sources (two event loops) make together.
    package enum Merge: Hashable, Sendable { case sum, max, min }

    package let name: String
    package let kind: Kind
    package let help: String
    package let labels: [String]
    package let merge: Merge

    package init(_ name: String, _ kind: Kind, labels: [String] = [], merge: Merge = .sum, _ help: String) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.merge = merge
    }
}
