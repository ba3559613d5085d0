internal import ShardModel

/// What one manager knows of the attempt at a cutover that it makes. Lost with it: its successor gives the attempt up.
struct CutoverAttempt: Sendable {
    /// The effect that wrote the hold.
    var number: UInt64
    /// When statements may have begun to wait: before the hold was committed.
    var began: ContinuousClock.Instant
    var epoch: Epoch
}
