import CommitCore
import Testing

/// Every order of steps and faults, up to a number of faults.
@Suite struct CommitExplorationTests {
    struct Shape: CustomTestStringConvertible {
        let wrote: [Bool]
        let faults: Int
        let recoversAnyTime: Bool
        var testDescription: String {
            "\(wrote.map { $0 ? "w" : "r" }.joined()), \(faults) faults\(recoversAnyTime ? ", recovery at any time" : "")"
        }
    }

    static let shapes = [
        Shape(wrote: [], faults: 2, recoversAnyTime: false),
        Shape(wrote: [false], faults: 2, recoversAnyTime: false),
        Shape(wrote: [true], faults: 2, recoversAnyTime: false),
        Shape(wrote: [false, false], faults: 2, recoversAnyTime: false),
        Shape(wrote: [true, false, false], faults: 2, recoversAnyTime: false),
        Shape(wrote: [true, true], faults: 4, recoversAnyTime: false),
        Shape(wrote: [true, true], faults: 3, recoversAnyTime: true),
        Shape(wrote: [true, true, false], faults: 2, recoversAnyTime: false),
        Shape(wrote: [true, true, true], faults: 2, recoversAnyTime: false),
    ]

    @Test(arguments: shapes)
    func everyWriterCommitsOrNoneAndTheClientIsNeverToldTheContrary(_ shape: Shape) {
        explore(shape) { world in
            guard world.isAtomic, world.toldTheTruth else { return "torn" }
            var end = world
            end.settle()
            guard end.isAtomic, end.toldTheTruth else { return "torn in the end: \(end)" }
            guard end.isSettled, end.isCrashed || end.machine.isDone else { return "not settled: \(end)" }
            return nil
        }
    }

    @Test(arguments: shapes.filter { !$0.recoversAnyTime && $0.faults <= 2 })
    func anEventThatCannotComeIsCountedAndChangesNothing(_ shape: Shape) {
        let indices = Array(shape.wrote.indices) + [7]
        let alphabet: [CommitEvent] =
            indices.flatMap { index -> [CommitEvent] in
                [
                    .committed(index), .prepared(index), .decisionRecorded(index), .rolledBack(index),
                    .failed(index, sqlState: "40001"), .lost(index),
                ]
            } + [.decisionFound, .decisionExcluded, .decisionUnreachable, .timeout]
        explore(shape) { world in
            for event in alphabet where !world.isCrashed && !world.isPossible(event) {
                var machine = world.machine
                let actions = machine.receive(event)
                guard actions.isEmpty, machine.ignoredEvents == world.machine.ignoredEvents + 1 else {
                    return "\(event) is taken: \(actions)"
                }
            }
            return nil
        }
    }

    private func explore(_ shape: Shape, _ check: (CommitWorld) -> String?) {
        let first = CommitWorld(wrote: shape.wrote, faults: shape.faults)
        var seen: Set<CommitWorld> = [first]
        var open = [first]
        while let world = open.popLast() {
            if let complaint = check(world) {
                Issue.record("\(complaint)\n\(world)")
                return
            }
            for next in world.successors(recoversAnyTime: shape.recoversAnyTime) where seen.insert(next).inserted { open.append(next) }
        }
        #expect(seen.count >= 1)
        if shape.wrote.filter({ $0 }).count > 1 { #expect(seen.count > 1000, "the exploration has shrunk to \(seen.count)") }
    }
}
