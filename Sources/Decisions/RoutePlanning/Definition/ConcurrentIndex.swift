package import ShardModel

/// CREATE INDEX CONCURRENTLY or DROP INDEX CONCURRENTLY, which each shard does outside of any transaction.
package struct ConcurrentIndex: Hashable, Sendable {
    /// The index that is made; nil: one is dropped.
    package var made: QualifiedName?
    /// The command's tag.
    package var tag: String { made == nil ? "DROP INDEX" : "CREATE INDEX" }
}

extension StatementPlan {
    /// The same, by each shard for itself.
    func concurrently(_ index: ConcurrentIndex) -> StatementPlan {
        guard case .everyShard(var everyShard) = route else { return self }
        var plan = self
        everyShard.transactional = false
        everyShard.concurrentIndex = index
        plan.route = .everyShard(everyShard)
        return plan
    }
}
