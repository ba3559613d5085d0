package import LogicalReplication
package import ShardModel

/// How far each target is, and what the source's slot may forget.
///
/// The slot may forget what every target has stored, durably. A target without anything under way has all that was received, although it has not
/// stored so: after a crash its stored position is older, and there is nothing for it in between.
package struct AppliedPositions: Hashable, Sendable {
    private struct Progress: Hashable, Sendable {
        var stored: LSN
        /// The newest commit that was handed to the target.
        var asked: LSN

        mutating func raise(_ field: WritableKeyPath<Progress, LSN>, to position: LSN) {
            if self[keyPath: field] < position { self[keyPath: field] = position }
        }
    }
    private var progress: [ShardID: Progress]
    private var received: LSN

    /// - stored: what `ChangeRouter` was begun with.
    package init(stored: [ShardID: LSN]) {
        progress = stored.mapValues { Progress(stored: $0, asked: $0) }
        // The server itself sends nothing below.
        received = stored.values.min() ?? .none
    }

    /// A commit was handed to `targets`: all others have nothing to do with it. In the order of the stream.
    package mutating func asked(_ targets: [ShardID], position: LSN) {
        for target in targets { progress[target]?.raise(\.asked, to: position) }
        received = max(received, position)
    }

    /// A keepalive; not while a transaction is open, for a part of it may have been handed on that no position stands for yet.
    package mutating func keptAlive(end: LSN) { received = max(received, end) }

    /// The target's transaction, with this position in it, is committed and durable.
    package mutating func stored(_ target: ShardID, position: LSN) {
        progress[target]?.raise(\.stored, to: position)
    }

    /// Everything that committed on the source before this place is on the target.
    package func applied(_ target: ShardID) -> LSN? {
        guard let progress = progress[target] else { return nil }
        return progress.asked > progress.stored ? progress.stored : max(progress.stored, received)
    }

    /// For `StandbyStatusUpdate.flushed`.
    package var flushed: LSN { progress.keys.compactMap { applied($0) }.min() ?? .none }

    /// Whether every target has all that committed on the source before `end`: what a cutover waits for.
    package func hasReached(_ end: LSN) -> Bool { !progress.isEmpty && flushed >= end }
}
