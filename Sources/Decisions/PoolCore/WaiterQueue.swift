/// The requests that wait on one loop, first come first served.
///
/// Cost: constant at both ends; `remove` walks the queue, which `PoolLimits.waitersMax` bounds.
struct WaiterQueue {
    struct Entry {
        let waiter: WaiterID
        /// When the request came. Times never decrease along the queue, so that the first entry times out first.
        let since: PoolInstant
    }

    private var entries: [Entry] = []
    private var head = 0

    var count: Int { entries.count - head }
    var isEmpty: Bool { head == entries.count }
    var first: Entry? { isEmpty ? nil : entries[head] }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    /// Puts back an entry that has been in the queue before: it is older than all others.
    mutating func putBack(_ entry: Entry) {
        if head > 0 {
            head -= 1
            entries[head] = entry
        } else {
            entries.insert(entry, at: 0)
        }
    }

    mutating func popFirst() -> Entry? {
        guard head < entries.count else { return nil }
        let entry = entries[head]
        head += 1
        if head == entries.count {
            entries.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 64, head * 2 >= entries.count {
            entries.removeFirst(head)
            head = 0
        }
        return entry
    }

    mutating func remove(_ waiter: WaiterID) -> Bool {
        guard let index = entries[head...].firstIndex(where: { $0.waiter == waiter }) else { return false }
        entries.remove(at: index)
        return true
    }
}
