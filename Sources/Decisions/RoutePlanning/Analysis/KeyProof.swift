internal import PGTypes

/// The proof by a key that nobody names (docs/decisions/0065-proof-by-an-unknown-key.md).
///
/// WITH queries that write are left out: they are proven each by itself (`WritingWith`), and what reads them counts as a table.
struct KeyProof {
    private let analyzer: QueryAnalyzer

    init(_ analyzer: QueryAnalyzer) { self.analyzer = analyzer }

    /// With this key known, that of every sharded table is the same.
    func holds(for anchor: Slot) -> Bool {
        // A value that no statement names.
        let value = KeySource.parameter(number: -1, type: analyzer.bindings.type(of: anchor))
        var bindings = analyzer.bindings
        bindings.bind(anchor, to: [value])
        let known = bindings.solve()
        return analyzer.findings.sharded.allSatisfy { table in
            if table.isInWritingWith { return true }
            guard let sources = known[table.slot] else { return false }
            return !sources.isEmpty && sources.allSatisfy { $0 == value }
        }
    }
}
