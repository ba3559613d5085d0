/// Keeps a transfer below a rate: who has taken part in it is told how long to wait before going on.
///
/// The rate holds for all who share the value. What was not used is kept for at most `burst`, so that a pause is not made up for at full speed.
package struct TransferPace: Sendable {
    private static let burst = Duration.milliseconds(250)

    /// nil: without a limit.
    package var bytesPerSecond: Int?
    /// From when on the rate allows more.
    private var isFree: ContinuousClock.Instant?

    package init(bytesPerSecond: Int? = nil) {
        self.bytesPerSecond = bytesPerSecond
    }

    /// Counts `bytes` that were just transferred, and says how long the transfer is to rest now. Zero or less: not at all.
    package mutating func rest(after bytes: Int, at now: ContinuousClock.Instant) -> Duration {
        guard let bytesPerSecond, bytesPerSecond > 0 else { return .zero }
        let from = max(isFree ?? now, now - Self.burst)
        let next = from + .seconds(Double(bytes) / Double(bytesPerSecond))
        isFree = next
        return now.duration(to: next)
    }
}
