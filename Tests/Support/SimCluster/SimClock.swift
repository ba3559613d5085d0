/// Time in milliseconds, and what happens when. Events of one moment happen in the order in which they were planned: one seed, one run.
struct SimClock {
    /// More than the longest delay.
    private static let horizon = 1024

    private(set) var now = 0
    /// By their time, modulo the horizon: nothing is searched or sorted.
    private var moments: [[() -> Void]] = Array(repeating: [], count: horizon)
    /// How many of the present moment's events have happened.
    private var done = 0
    private var count = 0

    mutating func plan(after delay: Int, _ event: @escaping () -> Void) {
        precondition((0..<Self.horizon).contains(delay))
        moments[(now + delay) % Self.horizon].append(event)
        count += 1
    }

    /// The next event; nil when nothing is left.
    mutating func next() -> (() -> Void)? {
        guard count > 0 else { return nil }
        while done == moments[now % Self.horizon].count {
            moments[now % Self.horizon].removeAll(keepingCapacity: true)
            now += 1
            done = 0
        }
        done += 1
        count -= 1
        return moments[now % Self.horizon][done - 1]
    }
}
