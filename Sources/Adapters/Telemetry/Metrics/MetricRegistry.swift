import Synchronization

/// Where `/metrics` gets its series from: each source is asked when somebody scrapes, never before.
///
/// An event loop's source hops onto its loop and copies its plain counters there; nothing on the hot path is shared.
package final class MetricRegistry: Sendable {
    package typealias Source = @Sendable () async -> MetricSnapshot

    private let sources = Mutex<[Source]>([])

    package init() {}

    package func add(_ source: @escaping Source) {
        sources.withLock { $0.append(source) }
    }

    /// Asks every source, at the same time, and merges what they say.
    package func snapshot() async -> MetricSnapshot {
        await withTaskGroup(of: MetricSnapshot.self) { group in
            for source in sources.withLock({ $0 }) { group.addTask { await source() } }
            var merged = MetricSnapshot()
            for await part in group { merged.merge(part) }
            return merged
        }
    }

    package func render() async -> String { PrometheusText.render(await snapshot()) }
}
