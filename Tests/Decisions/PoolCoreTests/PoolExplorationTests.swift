import PoolCore
import Testing

@Suite struct PoolExplorationTests {
    private static func limits(_ sizeMax: Int, sizeMin: Int = 0) -> PoolLimits {
        var limits = PoolLimits()
        limits.sizeMax = sizeMax
        limits.sizeMin = sizeMin
        limits.waitersMax = 3
        limits.waitTimeout = .seconds(20)
        limits.idleTimeout = .seconds(15)
        limits.lifetimeMax = .seconds(60)
        return limits
    }

    /// Each sequence of so many events, on one loop or two; those in which an event cannot happen are cut off there.
    @Test(arguments: [(1, 1, 8), (2, 1, 6), (2, 2, 6)])
    func holdsItsPromisesThroughEveryShortSequence(_ loops: Int, _ sizeMax: Int, _ depth: Int) {
        let events = PoolSimulation.Event.allCases.filter { ![.drain, .retire, .waitLong, .failHealthCheck, .pause, .resume, .silentConnect].contains($0) }
        let letters = events.flatMap { event in (event == .deliver ? 0..<1 : 0..<loops).map { (event, $0) } }
        var count = 0
        func extend(_ sequence: [(PoolSimulation.Event, Int)]) -> Bool {
            for letter in letters {
                let longer = sequence + [letter]
                let simulation = PoolSimulation(loops: loops, limits: Self.limits(sizeMax))
                guard longer.allSatisfy({ simulation.apply($0.0, on: $0.1) }) else { continue }
                simulation.settle()
                count += 1
                if let complaint = simulation.complaints.first {
                    Issue.record("\(complaint) after \(longer)")
                    return false
                }
                if longer.count < depth, !extend(longer) { return false }
            }
            return true
        }
        // From a pool in use, so that short sequences reach far.
        #expect(extend([(.acquire, 0), (.connect, 0)]))
        #expect(extend([(.acquire, 0), (.acquire, loops - 1)]))
        #expect(count > 5_000, "the exploration has shrunk to \(count)")
    }

    @Test(arguments: UInt64(0)..<150)
    func holdsItsPromisesThroughLongRandomRuns(_ seed: UInt64) {
        var random = Numbers(state: seed)
        let loops = Int(random.next(upTo: 3)) + 1
        let simulation = PoolSimulation(loops: loops, limits: Self.limits(Int(random.next(upTo: 4)) + 1, sizeMin: Int(random.next(upTo: 3))), seed: seed)
        let common: [PoolSimulation.Event] = [.acquire, .acquire, .release, .release, .connect, .connect, .confirmClose, .deliver, .deliver]
        let events = PoolSimulation.Event.allCases.filter { $0 != .drain } + common
        for step in 0..<400 {
            let event = events[Int(random.next(upTo: UInt64(events.count)))]
            simulation.apply(event, on: Int(random.next(upTo: UInt64(loops))))
            if let complaint = simulation.complaints.first {
                Issue.record("\(complaint) after \(step) steps of seed \(seed), the last being \(event)")
                return
            }
        }
        if seed % 2 == 0 { for loop in 0..<loops { simulation.apply(.drain, on: loop) } }
        simulation.settle()
        #expect(simulation.complaints.isEmpty, "seed \(seed)")
    }

    private struct Numbers {
        var state: UInt64
        mutating func next(upTo bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
    }
}
