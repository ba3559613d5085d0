import LogicalReplication
import ReshardCore
import ShardModel
import Testing

/// Every short sequence of events, crashes included, on a catalog that keeps what was written and decides about the owners.
@Suite struct ReshardExplorationTests {
    /// What is outside of the machine: the catalog's owners and hold, and what the effects have made.
    struct World: Hashable {
        var driver = Driver()
        var owner = Kit.a
        var isHeld = false
        var made: Set<LedgerEntry> = []
        /// The targets refuse routers that do not know of the job.
        var isShielded = false
        var hasCopiedInTheOpen = false

        /// The run does its work.
        mutating func work() -> JobOutcome? {
            guard let (_, effect) = driver.running else { return nil }
            let record = driver.machine.record
            switch effect {
            case .copy where !isShielded: hasCopiedInTheOpen = true
            case .prepare, .copy: made.formUnion(Kit.planned)
            case .arm: made.formUnion(Kit.wayBack)
            case .hold: isHeld = true
            case .switchOwners:
                guard isHeld else { return .busy("no hold") }
                owner = record.direction == .forward ? Kit.b : Kit.a
                isHeld = false
            case .lift:
                if owner == (record.direction == .forward ? Kit.b : Kit.a) { return .switched }
                isHeld = false
            case .clean(let entries): made.subtract(entries)
            case .measure: return .ended([record.oldOwners[0]: LSN(1)])
            case .mirror: return nil
            case .shield: isShielded = true
            case .check, .catchUp, .verify, .fence, .reach: break
            }
            return .done
        }

        var complaint: String? {
            let record = driver.stored
            if hasCopiedInTheOpen { return "copied to targets that any router reads" }
            if let record, !made.isSubset(of: record.ledger) { return "made what is not in the ledger" }
            switch record?.step {
            case .guarding where owner != Kit.b: return "guarding what was not switched"
            case .cleaning(.completed) where owner != Kit.b, .over(.completed) where owner != Kit.b: return "completed without owners"
            case .cleaning(.cancelled) where owner != Kit.a, .cleaning(.failed) where owner != Kit.a: return "given up with new owners"
            case .cleaning where isHeld: return "held for ever"
            case .over(.completed) where !made.isSubset(of: [.schema(Kit.b, name: "public"), .rows(Kit.b)]): return "left \(made)"
            case .over(.cancelled) where !made.isEmpty, .over(.failed) where !made.isEmpty: return "left \(made)"
            case .over where isHeld: return "held for ever"
            case .copying where isHeld, .streaming where isHeld, .guarding where isHeld: return "held outside of a cutover"
            default: return nil
            }
        }

        func successors() -> [World] {
            var result: [World] = []
            func branch(_ change: (inout World) -> Void) {
                var next = self
                change(&next)
                result.append(next)
            }
            if driver.end == nil {
                if driver.pending != nil {
                    branch { $0.driver.persist() }
                    branch { world in
                        world.driver.stored = world.driver.pending
                        world.driver.crash()
                    }
                    branch { $0.driver.receive(.persistUnknown(version: $0.driver.pending?.version ?? 0)) }
                }
                if driver.running != nil {
                    branch { if let outcome = $0.work() { $0.driver.report(outcome) } }
                    // The work was done, and nobody learned of it.
                    branch { world in
                        _ = world.work()
                        world.driver.report(.unavailable("lost"))
                    }
                    branch { world in
                        _ = world.work()
                        world.driver.crash()
                    }
                    branch { $0.driver.report(.busy("busy")) }
                    branch { $0.driver.report(.impossible("never")) }
                }
                branch { $0.driver.crash() }
                for request in JobRequest.allCases { branch { $0.driver.receive(.request(request)) } }
            }
            return result
        }
    }

    /// From each step of a job, everything that can happen in the next five events.
    @Test func noSequenceOfEventsAndCrashesHarmsAJob() {
        var seen = 0
        for step in [nil] + ReshardMachineTests.forward.map(Optional.some) {
            var world = World()
            for _ in 0..<60 where step != nil {
                if world.driver.pending != nil { world.driver.persist() } else if world.driver.machine.record.step == step { break }
                if world.driver.pending == nil, world.driver.machine.record.step != step, let outcome = world.work() { world.driver.report(outcome) }
            }
            var layer: Set<World> = [world]
            for _ in 0..<5 {
                var next: Set<World> = []
                for world in layer {
                    if let complaint = world.complaint {
                        Issue.record("\(complaint): \(world.driver.steps) \(String(describing: world.driver.stored))")
                        return
                    }
                    next.formUnion(world.successors())
                }
                seen += next.count
                layer = next
            }
            for var world in layer {
                guard ends(&world) else {
                    Issue.record("does not end: \(world.driver.steps)")
                    return
                }
            }
        }
        #expect(seen > 5_000, "the exploration has shrunk to \(seen)")
    }

    /// Left alone, and told to finish, it ends; with everything in order.
    private func ends(_ world: inout World) -> Bool {
        for _ in 0..<200 {
            if world.complaint != nil { return false }
            if world.driver.end != nil { return true }
            if world.driver.pending != nil {
                world.driver.persist()
            } else if world.driver.machine.record.step == .guarding {
                world.driver.receive(.request(.finish))
            } else if let outcome = world.work() {
                world.driver.report(outcome)
            } else {
                return false
            }
        }
        return false
    }

    /// Every event in every step: what makes no sense there is counted and changes nothing.
    @Test func anEventThatMakesNoSenseChangesNothing() {
        for step in ReshardMachineTests.forward {
            var driver = Driver()
            driver.go(to: step)
            let version = driver.machine.record.version
            let senseless: [JobEvent] = [
                .persisted(version: version), .persisted(version: version + 1), .persistUnknown(version: version + 1),
                .outcome(EffectID(version - 1), .done), .outcome(EffectID(version + 1), .impossible("x")),
            ]
            for event in senseless {
                var machine = driver.machine
                #expect(machine.receive(event) == [] && machine.ignoredEvents == driver.machine.ignoredEvents + 1, "\(event) in \(step)")
            }
            // An outcome while a record is being written.
            driver.report(.unavailable("x"))
            if driver.pending != nil { #expect(driver.machine.receive(.outcome(EffectID(version), .done)) == []) }
        }
        var machine = Kit.machine()
        #expect(machine.receive(.persisted(version: 0)) == [] && machine.start().count == 1 && machine.start() == [])
    }
}
