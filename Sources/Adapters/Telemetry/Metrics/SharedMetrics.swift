import Synchronization

/// Metrics of the control plane and of REST, where tasks on any thread count the same series: one lock, held for a dictionary update.
///
/// Not for the wire's hot path: an event loop keeps its own `CounterGrid`s and `LatencyHistogram`s.
package final class SharedMetrics: Sendable {
    private let state = Mutex(MetricSnapshot())

    package init() {}

    package func count(_ family: MetricFamily, _ labels: [String] = [], by amount: UInt64 = 1) {
        state.withLock { $0.add(family, labels, counter: amount) }
    }

    package func record(_ family: MetricFamily, _ labels: [String] = [], _ duration: Duration) {
        state.withLock { $0.record(family, labels, duration) }
    }

    package func snapshot() -> MetricSnapshot { state.withLock { $0 } }
}
