/// A `kill -9` at a step of a job.
struct Strike: Hashable, Sendable, CustomStringConvertible {
    enum Gap: String, CaseIterable, Sendable {
        /// The step is in the catalog, and nothing of it is done.
        case before
        /// A moment after that.
        case during
        /// It is done, and nothing is written of it.
        case after
    }
    enum Victim: String, CaseIterable, Sendable { case manager, router, source, target }

    var step: String
    var gap: Gap
    var victim: Victim

    /// Where the manager is to stop.
    var point: String { "\(step).\(gap == .after ? "after" : "before")" }
    var description: String { "\(step).\(gap).\(victim)" }
}

/// One job and who is killed in it.
struct StrikeCourse: Sendable, CustomStringConvertible {
    enum Ending: String, CaseIterable, Sendable { case finish, cancel, reverse }

    /// Before the switch, one after the other.
    var way: [Strike]
    /// `cancel`: the point at which it is asked for, behind the last strike.
    var cancelAt: String?
    var ending: Ending
    /// Behind the request that ends the job; `guarding` before it.
    var end: Strike

    var description: String { way.map(\.description).joined(separator: " ") + (cancelAt.map { " (\($0))" } ?? "") + " \(ending) \(end)" }

    static let early = ["checking", "preparing", "shielding", "copying", "streaming", "verifying", "arming"]
    static let cutover = ["holding", "fencing", "measuring", "catching_up", "switching"]

    /// As many as are needed for every step, gap and victim to come up, each time in another company.
    static func all() -> [StrikeCourse] {
        let early = strikes(Self.early).shuffled()
        let cut = strikes(cutover + ["abandoning"]).shuffled()
        let ends =
            (strikes(["guarding"]).filter { $0.gap != .after } + strikes(["cleaning"])).map { (Ending.finish, $0) } + strikes(["cleaning"]).map { (.cancel, $0) }
            + strikes(cutover + ["abandoning", "cleaning"]).map { (.reverse, $0) }
        var cuts = 0
        return ends.shuffled().enumerated().map { index, end in
            var course = StrikeCourse(way: [early[index % early.count]], ending: end.0, end: end.1)
            if end.0 == .cancel {
                let later = Self.early.drop { $0 != course.way[0].step }.dropFirst() + cutover
                course.cancelAt = later.randomElement().map { $0 + ".before" }
            } else {
                course.way += led(to: cut[cuts % cut.count])
                cuts += 1
            }
            return course
        }
    }

    /// An attempt is given up when something has failed: here, the manager.
    static func led(to strike: Strike) -> [Strike] {
        guard strike.step == "abandoning" else { return [strike] }
        return [Strike(step: cutover.randomElement() ?? "measuring", gap: .before, victim: .manager), strike]
    }

    private static func strikes(_ steps: [String]) -> [Strike] {
        steps.flatMap { step in Strike.Gap.allCases.flatMap { gap in Strike.Victim.allCases.map { Strike(step: step, gap: gap, victim: $0) } } }
    }
}
