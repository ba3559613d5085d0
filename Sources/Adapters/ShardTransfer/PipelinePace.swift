/// How many changes a target is given at a time: few at first, and more while it is quick. A slow one (a table without an index, whose whole row is its
/// identity) is not given more than it does in the time that a silent server has.
package struct PipelinePace: Hashable, Sendable {
    package static let stepsMax = 500
    private static let quick = Duration.seconds(1)
    private static let slow = Duration.seconds(10)

    package private(set) var steps = 1
    package init() {}

    /// - time: of as many steps.
    package mutating func took(_ time: Duration) {
        if time < Self.quick { steps = min(Self.stepsMax, steps * 2) }
        if time > Self.slow { steps = max(1, steps / 2) }
    }
}
