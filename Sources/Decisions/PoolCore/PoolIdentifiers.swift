/// One backend connection of one `ShardPool`, handed out by the pool with `.connect`.
///
/// `slot` is dense (0 ..< the most backends the pool ever had at once), so that the shell keeps its channels in an
/// array. A slot is used again; `generation` tells its tenants apart, so that an event that was on its way when
/// its backend died is recognised and ignored.
package struct BackendID: Hashable, Sendable, CustomStringConvertible {
    package let slot: Int32
    package let generation: UInt32

    package init(slot: Int32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    package var description: String { "backend \(slot).\(generation)" }
}

/// A request for a backend, named by the caller; unique among the requests of one pool that are still waiting.
package struct WaiterID: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt64
    package init(_ value: UInt64) { self.value = value }
    package var description: String { "waiter \(value)" }
}

/// An event loop of the router, counted from 0.
package struct LoopIndex: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: Int
    package init(_ value: Int) { self.value = value }
    package static func < (a: LoopIndex, b: LoopIndex) -> Bool { a.value < b.value }
    package var description: String { "loop \(value)" }
}
