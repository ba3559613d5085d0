/// How fast a copy may read its source, by how quick the source is for others meanwhile.
///
/// It is told how long small commits take there, one after the other. Those before the copy say what is usual. While it runs, each window of them whose slow part
/// is slower than allowed halves the rate, and each that is not raises it by a step (doubles it, until one was too slow): between a floor, for a copy that rests for ever keeps a
/// slot and the log with it, and no limit at all.
package struct LoadControl: Hashable, Sendable {
    package struct Settings: Hashable, Sendable {
        /// So much slower than usual the slow part of the commits may be, in hundredths. nil: the load does not count.
        package var slowdownPercentMax: Int? = 150
        /// Commits that are quicker are never too slow.
        package var quick = Duration.milliseconds(2)
        package var bytesPerSecondMin = 4 << 20
        /// nil: none but the load.
        package var bytesPerSecondMax: Int?
        package init() {}
    }

    /// Commits of a window; the slow part is the slowest but one of them.
    package static let window = 10
    /// A window that is quick enough adds so much of the rate that was too fast last, and, once that is reached again, so much of the present one.
    private static let (stepBelow, stepBeyond) = (16, 8)
    /// It begins at so much of the floor, and has no limit once it has been doubled up to this: clients do not pay for finding out what is too fast.
    private static let (firstOfFloor, unlimited) = (4, 1 << 30)

    package let settings: Settings
    /// nil: without a limit.
    package private(set) var bytesPerSecond: Int?
    /// The slow part before the copy; nil: not known yet.
    package private(set) var usual: Duration?
    /// Of the last window.
    package private(set) var recent: Duration?
    private var samples: [Duration] = []
    /// The rate when the limit came on: from twice as much on there is none.
    private var highest = 0
    /// What was too fast last.
    private var tooFast = 0
    /// Nothing was too fast yet, or nobody else is there.
    private var isRising = true

    package init(_ settings: Settings = Settings()) {
        self.settings = settings
        bytesPerSecond = settings.bytesPerSecondMax
    }

    /// Slower is too slow; nil: not known, or it does not count.
    package var allowed: Duration? {
        guard let usual, let percent = settings.slowdownPercentMax else { return nil }
        return max(settings.quick, usual * percent / 100)
    }

    /// A commit before the copy.
    package mutating func learn(_ commit: Duration) {
        samples.append(commit)
        guard samples.count == Self.window else { return }
        let slow = takeWindow()
        usual = usual.map { min($0, slow) } ?? slow
        if allowed != nil { bytesPerSecond = min(settings.bytesPerSecondMax ?? Self.unlimited, settings.bytesPerSecondMin * Self.firstOfFloor) }
    }

    /// A commit while the copy runs.
    ///
    /// - rate: bytes a second that the copy has read of late.
    /// - isAlone: nobody else is there to suffer, so that no commit is too slow.
    package mutating func observe(_ commit: Duration, rate: Int, isAlone: Bool = false) {
        samples.append(commit)
        guard samples.count == Self.window else { return }
        let slow = takeWindow()
        recent = slow
        guard let allowed else { return }
        if isAlone { isRising = true }
        if slow > allowed, !isAlone { slowDown(rate) } else { speedUp() }
    }

    private mutating func takeWindow() -> Duration {
        defer { samples.removeAll(keepingCapacity: true) }
        return samples.sorted()[Self.window - 2]
    }

    private mutating func slowDown(_ rate: Int) {
        if isRising || bytesPerSecond == settings.bytesPerSecondMax { highest = max(rate, settings.bytesPerSecondMin) }
        isRising = false
        // What it reads, where that is less than it may.
        let now = min(bytesPerSecond ?? .max, max(rate, settings.bytesPerSecondMin))
        tooFast = now
        bytesPerSecond = max(settings.bytesPerSecondMin, now / 2)
    }

    private mutating func speedUp() {
        guard let now = bytesPerSecond, now != settings.bytesPerSecondMax else { return }
        let step = isRising ? now : now < tooFast ? tooFast / Self.stepBelow : now / Self.stepBeyond
        let next = now + max(1, step)
        let end = settings.bytesPerSecondMax ?? (isRising ? Self.unlimited : highest.multipliedReportingOverflow(by: 2).partialValue)
        bytesPerSecond = next >= end ? settings.bytesPerSecondMax : next
    }
}
