package import PoolCore

/// What is known of one replica at the moment of a choice.
package struct ReplicaCandidate: Hashable, Sendable {
    /// nil: not to be read from.
    package var currentTo: PoolInstant?
    /// Statements of this router that it runs, or that wait for it.
    package var outstanding: Int

    package init(currentTo: PoolInstant?, outstanding: Int) {
        self.currentTo = currentTo
        self.outstanding = outstanding
    }
}

/// Which replica a read goes to.
package struct ReplicaChoice: Hashable, Sendable {
    /// A replica that lags more is not read from.
    package var lagMax: PoolNanoseconds

    package init(lagMax: PoolNanoseconds) { self.lagMax = lagMax }

    /// Whether `candidate` may be read from by a session that wrote last at `wrote`; nil: never.
    package func admits(_ candidate: ReplicaCandidate, now: PoolInstant, wrote: PoolInstant?) -> Bool {
        guard let currentTo = candidate.currentTo, now.elapsed(since: currentTo) <= lagMax else { return false }
        guard let wrote else { return true }
        return currentTo > wrote
    }

    /// The one with the least work outstanding; among equals, in turn. nil: none qualifies, and the primary answers.
    ///
    /// - turn: any number that grows from choice to choice.
    package func choose(
        among count: Int, now: PoolInstant, wrote: PoolInstant?, turn: Int, _ candidate: (Int) -> ReplicaCandidate
    ) -> Int? {
        guard count > 0 else { return nil }
        var best: (index: Int, outstanding: Int)?
        let start = Int(UInt(bitPattern: turn) % UInt(count))
        for step in 0..<count {
            let index = (start + step) % count
            let candidate = candidate(index)
            guard admits(candidate, now: now, wrote: wrote) else { continue }
            if best.map({ candidate.outstanding < $0.outstanding }) ?? true { best = (index, candidate.outstanding) }
        }
        return best?.index
    }
}
