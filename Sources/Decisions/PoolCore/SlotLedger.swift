/// Who holds the backends that a shard may have, and which loops wait for more: the rules behind `SlotBudget`.
///
/// A slot that comes back goes straight to a loop that waits (`Returned.next`), so no other loop can snatch it and no
/// wakeup can be lost: a slot is free only while no loop waits.
package struct SlotLedger: Hashable, Sendable {
    package private(set) var slotsMax: Int
    /// By loop: the slots it holds, those on their way to it included.
    private var held: [Int]
    /// The loops that wait for one more slot, each once, the longest wait first.
    private var line: [Claim] = []
    /// Backends that are being closed for the sake of `pressure`.
    private var promised = 0

    private struct Claim: Hashable {
        let loop: LoopIndex
        let since: PoolInstant
    }

    package init(slotsMax: Int, loops: Int) {
        self.slotsMax = max(1, slotsMax)
        held = Array(repeating: 0, count: max(1, loops))
    }

    package var taken: Int { held.reduce(0, +) }
    package func held(by loop: LoopIndex) -> Int { held[loop.value] }
    package var isLineEmpty: Bool { line.isEmpty }
    package func isInLine(_ loop: LoopIndex) -> Bool { line.contains { $0.loop == loop } }

    /// Backends that still have to be given up: for a loop in line, or since `slotsMax` was lowered.
    package var pressure: Int { max(0, line.count + max(0, taken - slotsMax) - promised) }

    /// Takes a free slot. Without one, and with `lineUp`, the loop stands in line from now on.
    package mutating func take(for loop: LoopIndex, lineUp: Bool, now: PoolInstant) -> Bool {
        if taken < slotsMax {
            held[loop.value] += 1
            return true
        }
        if lineUp, !isInLine(loop) { line.append(Claim(loop: loop, since: now)) }
        return false
    }

    /// The loop no longer waits. A slot already passed to it is on its way all the same.
    package mutating func withdraw(_ loop: LoopIndex) {
        line.removeAll { $0.loop == loop }
    }

    /// A backend of `loop` is gone. Returns the loop that has its slot now.
    package mutating func giveBack(by loop: LoopIndex, promised wasPromised: Bool) -> LoopIndex? {
        precondition(held[loop.value] > 0, "a slot was returned twice")
        held[loop.value] -= 1
        if wasPromised { promised -= 1 }
        return passNext()
    }

    /// Whether `loop` should close one of its backends for another loop; counted as promised if so.
    ///
    /// With requests of its own waiting it gives up only what fairness asks for: to a loop without any backend, or
    /// with at least two fewer, that has waited since `waitingSince` or longer. A difference of one stays: swapping it to and fro
    /// would only cost connects.
    package mutating func promise(by loop: LoopIndex, hasWaiters: Bool, waitingSince: PoolInstant) -> Bool {
        guard pressure > 0, held[loop.value] > 0 else { return false }
        let mayYield = taken > slotsMax || line.contains { claim in
            guard claim.loop != loop else { return false }
            guard hasWaiters else { return true }
            let (mine, theirs) = (held[loop.value], held[claim.loop.value])
            return claim.since <= waitingSince && (mine - theirs >= 2 || (mine > 0 && theirs == 0))
        }
        if mayYield { promised += 1 }
        return mayYield
    }

    /// Sets the number of slots. Returns the loops that got one: tell each.
    package mutating func resize(to slotsMax: Int) -> [LoopIndex] {
        self.slotsMax = max(1, slotsMax)
        var passed: [LoopIndex] = []
        while let loop = passNext() { passed.append(loop) }
        return passed
    }

    /// Passes a free slot to the loop in line that holds the fewest; the longest wait decides between equals.
    private mutating func passNext() -> LoopIndex? {
        guard taken < slotsMax else { return nil }
        let poorest = line.indices.min { held[line[$0].loop.value] < held[line[$1].loop.value] }
        guard let poorest else { return nil }
        let loop = line.remove(at: poorest).loop
        held[loop.value] += 1
        return loop
    }
}
