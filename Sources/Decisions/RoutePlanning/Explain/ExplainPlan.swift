/// EXPLAIN of a statement that asks every shard: the shards' own plans, and what is done with their rows.
///
/// The texts of `subject` are those of the EXPLAIN: with its head and options, so that each shard explains what it would be asked.
package struct ExplainPlan: Hashable, Sendable {
    package enum Subject: Hashable, Sendable {
        case rows(GatherRows)
        case write(EveryKey)
    }
    package var subject: Subject
    package var options: ExplainOptions

    init(_ subject: Subject, _ options: ExplainOptions) {
        (self.subject, self.options) = (subject, options)
        guard case .rows(var gather) = subject else { return }
        gather.finish?.output = .plan(runs: options.runs)
        self.subject = .rows(gather)
    }

    mutating func hidePlaces() {
        guard case .rows(var gather) = subject else { return }
        gather.combination?.isOfOtherText = true
        subject = .rows(gather)
    }

    /// As `GatherRows.clockParameters`.
    package var clockParameters: [Int] {
        switch subject {
        case .rows(let gather): gather.clockParameters
        case .write(let write): write.clockParameters
        }
    }

    /// By whose word the statement is accepted.
    package var rules: [String] {
        switch subject {
        case .rows(let gather): gather.rules.map(\.rawValue)
        case .write(let write): [write.rule.rawValue]
        }
    }

    /// The home shard answers over rows that are brought to it. nil: it does not.
    package var finish: FinishPlan? {
        guard case .rows(let gather) = subject, gather.isFinished else { return nil }
        return gather.finish
    }

    package var combination: GatherCombination? {
        guard case .rows(let gather) = subject else { return nil }
        return gather.combination
    }

    /// Its rows are locked or written: the shards take their turns.
    package var isWrite: Bool { if case .write = subject { true } else { false } }
}
