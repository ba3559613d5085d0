import Foundation

/// CPU time of this thread in nanoseconds: what other processes do on the machine counts little in it.
func cpuTime() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Two ways of doing the same number of things, measured in turns.
struct Comparison {
    var name: String
    var goal: Double?
    /// Things done by one call of either side.
    var count: Int
    var baseline: () -> Int
    var subject: () -> Int

    struct Result {
        /// Nanoseconds a thing, medians over the rounds.
        var baseline: Double
        var subject: Double
        /// The median of the rounds' own ratios: a disturbance that lasts a round hits both of its sides.
        var ratio: Double
    }

    func run(rounds: Int) -> Result {
        var sink = baseline() &+ subject()
        var times: (baseline: [Double], subject: [Double]) = ([], [])
        for round in 0..<rounds {
            let sides = round.isMultiple(of: 2) ? [true, false] : [false, true]
            for isBaseline in sides {
                let start = cpuTime()
                sink &+= isBaseline ? baseline() : subject()
                let time = Double(cpuTime() - start) / Double(count)
                if isBaseline { times.baseline.append(time) } else { times.subject.append(time) }
            }
        }
        keep(sink)
        return Result(
            baseline: median(times.baseline), subject: median(times.subject),
            ratio: median(zip(times.subject, times.baseline).map { $0 / $1 }))
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.count.isMultiple(of: 2) ? (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2 : sorted[sorted.count / 2]
}

/// The optimizer must believe that the value is used.
@inline(never)
func keep(_ value: Int) { withExtendedLifetime(value) {} }
