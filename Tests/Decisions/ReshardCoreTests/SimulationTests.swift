import ReshardCore
import SimCluster
import Testing

/// Whole clusters in a simulated network, by their seeds. To see one again: `SimWorld(seed: …).run()`.
@Suite struct SimulationTests {
    private static let seeds: UInt64 = 10_000

    private struct Tally {
        var findings: [String] = []
        var ends: [JobEnd: Int] = [:]
        var switches = 0
        var abandoned = 0
        var held = 0
    }

    private static func run(_ seeds: Range<UInt64>, _ mutation: SimMutation? = nil) async -> Tally {
        await withTaskGroup(of: Tally.self) { group in
            let parts: UInt64 = 4
            for part in 0..<parts {
                group.addTask {
                    var tally = Tally()
                    for seed in seeds where seed % parts == part {
                        let world = SimWorld(seed: seed, mutation: mutation)
                        world.run()
                        if let finding = world.finding { tally.findings.append("seed \(seed): \(finding)") }
                        if let end = world.outcome { tally.ends[end, default: 0] += 1 }
                        tally.switches += world.switches
                        tally.abandoned += world.abandoned
                        tally.held += world.heldCount
                    }
                    return tally
                }
            }
            return await group.reduce(into: Tally()) { sum, part in
                sum.findings += part.findings
                sum.ends.merge(part.ends, uniquingKeysWith: +)
                sum.switches += part.switches
                sum.abandoned += part.abandoned
                sum.held += part.held
            }
        }
    }

    @Test func noWriteIsLostNoKeyHasTwoOwnersAndEveryJobEnds() async {
        let tally = await Self.run(0..<Self.seeds)
        #expect(tally.findings.isEmpty, "\(tally.findings.count): \(tally.findings.prefix(5))")
        // What must have happened for this to mean something.
        print("ends \(tally.ends), switches \(tally.switches), abandoned \(tally.abandoned), held \(tally.held)")
        #expect(tally.ends[.completed, default: 0] > 1000 && tally.ends[.cancelled, default: 0] > 1000)
        #expect(tally.switches > 5000 && tally.abandoned > 500 && tally.held > 10_000)
    }

    /// A check that finds no fault in a spoiled protocol checks nothing.
    @Test(arguments: SimMutation.allCases) func everySpoiledProtocolIsFound(_ mutation: SimMutation) async {
        let tally = await Self.run(0..<400, mutation)
        #expect(!tally.findings.isEmpty)
    }

    @Test func theSameSeedIsTheSameRun() {
        for seed in UInt64(0)..<20 {
            let (first, second) = (SimWorld(seed: seed, mutation: .skipFence), SimWorld(seed: seed, mutation: .skipFence))
            first.run()
            second.run()
            #expect(first.finding == second.finding && first.heldCount == second.heldCount)
        }
    }
}
