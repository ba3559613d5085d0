/// A pool's gauges and counters, for metrics.
package struct PoolStatistics: Hashable, Sendable {
    // Now.
    package var idle = 0
    package var busy = 0
    package var connecting = 0
    package var closing = 0
    package var waiting = 0
    // Since the start.
    package var grants: UInt64 = 0
    package var waits: UInt64 = 0
    package var refusals: UInt64 = 0
    package var connects: UInt64 = 0
    package var connectFailures: UInt64 = 0
    package var healthCheckFailures: UInt64 = 0
    package var yields: UInt64 = 0
    /// Events about a backend that is gone or in a state where they make no sense; ignored. The late ones of a lost race
    /// are harmless; a steady rate is a defect of the shell.
    package var ignoredEvents: UInt64 = 0

    package init() {}

    /// Backends that hold a slot of the budget.
    package var live: Int { idle + busy + connecting + closing }
}
