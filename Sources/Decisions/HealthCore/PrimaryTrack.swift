/// Where a primary's log was at which moments, to tell how far a replica is behind in time.
///
/// The replica's own figure, the age of the last commit that it replayed, says an hour for a moment each time that somebody writes after an hour's rest.
package struct PrimaryTrack: Hashable, Sendable {
    package static let samplesMax = 128

    private struct Sample: Hashable, Sendable {
        var position: UInt64
        /// Before the position was read: everything that was committed by then lies below it.
        var time: Double
    }
    /// In order of both.
    private var samples: [Sample] = []

    package init() {}

    /// - time: seconds, of a moment before the position was read.
    package mutating func wrote(_ position: UInt64, at time: Double) {
        // Another log: of a primary that was restored, or a clock that went back.
        if let last = samples.last, position < last.position || time < last.time { samples = [] }
        samples.append(Sample(position: position, time: time))
        guard samples.count > Self.samplesMax else { return }
        // The past is remembered less and less exactly, and as far back as it goes.
        let half = samples.count / 2
        samples = samples[..<half].enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element) + samples[half...]
    }

    /// How far a replica is behind that has replayed up to `position`; zero when it has all that was seen written; nil when nothing was.
    ///
    /// Rather too much than too little, by no more than the time between two samples; beyond the first sample it is the age of that.
    package func lag(at position: UInt64, now: Double) -> Duration? {
        guard let newest = samples.last, let oldest = samples.first else { return nil }
        if position >= newest.position { return .zero }
        let reached = samples.last { $0.position <= position } ?? oldest
        return .seconds(max(0, now - reached.time))
    }
}
