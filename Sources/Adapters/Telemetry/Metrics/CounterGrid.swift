/// Counters of one family over a label space whose values are known: plain integers, found by position.
///
/// For the hot path of one event loop: adding is one multiplication a label and one addition, with no hashing, lock or allocation. The first
/// axis can grow (shards come); positions that were given out stay valid.
package struct CounterGrid: Sendable {
    package let family: MetricFamily
    /// The label values, one list a label of the family, in its order.
    package private(set) var axes: [[String]]
    private var cells: [UInt64]

    /// Precondition: one axis a label; at most three labels.
    package init(_ family: MetricFamily, axes: [[String]]) {
        precondition(axes.count == family.labels.count && (1...3).contains(axes.count))
        self.family = family
        self.axes = axes
        cells = Array(repeating: 0, count: axes.reduce(1) { $0 * $1.count })
    }

    package mutating func add(_ amount: UInt64 = 1, at first: Int) {
        cells[first] &+= amount
    }

    package mutating func add(_ amount: UInt64 = 1, at first: Int, _ second: Int) {
        cells[first &* axes[1].count &+ second] &+= amount
    }

    package mutating func add(_ amount: UInt64 = 1, at first: Int, _ second: Int, _ third: Int) {
        cells[(first &* axes[1].count &+ second) &* axes[2].count &+ third] &+= amount
    }

    /// The position of `value` on the first axis, added at its end when it is new.
    package mutating func position(of value: String) -> Int {
        if let known = axes[0].firstIndex(of: value) { return known }
        axes[0].append(value)
        cells.append(contentsOf: repeatElement(0, count: axes.dropFirst().reduce(1) { $0 * $1.count }))
        return axes[0].count - 1
    }

    /// Adds every series that ever counted; those still at zero are left out.
    package func collect(into snapshot: inout MetricSnapshot) {
        for (index, value) in cells.enumerated() where value > 0 {
            var rest = index
            var labels: [String] = []
            for axis in axes.reversed() {
                labels.append(axis[rest % axis.count])
                rest /= axis.count
            }
            snapshot.add(family, labels.reversed(), counter: value)
        }
    }
}
