/// The series of a moment, merged over their sources (event loops, caches, the process).
package struct MetricSnapshot: Hashable, Sendable {
    package enum Value: Hashable, Sendable {
        case counter(UInt64)
        case gauge(Double)
        case histogram(LatencyHistogram)
    }

    /// By family name, then by label values in the family's order.
    package private(set) var series: [String: [[String]: Value]] = [:]

    package init() {}

    package mutating func add(_ family: MetricFamily, _ labels: [String] = [], counter: UInt64) {
        put(family, labels, .counter(counter))
    }
    /// Also for counters that are not whole numbers (`process_cpu_seconds_total`).
    package mutating func add(_ family: MetricFamily, _ labels: [String] = [], gauge: Double) {
        put(family, labels, .gauge(gauge))
    }
    package mutating func add(_ family: MetricFamily, _ labels: [String] = [], histogram: LatencyHistogram) {
        put(family, labels, .histogram(histogram))
    }

    /// Adds one value to a histogram in place.
    package mutating func record(_ family: MetricFamily, _ labels: [String] = [], _ duration: Duration) {
        precondition(labels.count == family.labels.count, "one value for each label of \(family.name)")
        var histogram = LatencyHistogram()
        if case .histogram(let old) = series[family.name]?[labels] { histogram = old }
        series[family.name]?[labels] = nil  // so that `histogram` is the only owner and is not copied
        histogram.record(duration)
        series[family.name, default: [:]][labels] = .histogram(histogram)
    }

    package mutating func merge(_ other: MetricSnapshot) {
        for family in MetricCatalogue.all {
            for (labels, value) in other.series[family.name] ?? [:] { put(family, labels, value) }
        }
    }

    private mutating func put(_ family: MetricFamily, _ labels: [String], _ value: Value) {
        precondition(labels.count == family.labels.count, "one value for each label of \(family.name)")
        let old = series[family.name, default: [:]][labels]
        series[family.name, default: [:]][labels] = old.map { Self.merged($0, value, by: family.merge) } ?? value
    }

    private static func merged(_ old: Value, _ new: Value, by merge: MetricFamily.Merge) -> Value {
        switch (old, new) {
        case (.counter(let a), .counter(let b)): .counter(a &+ b)
        case (.gauge(let a), .gauge(let b)):
            switch merge {
            case .sum: .gauge(a + b)
            case .max: .gauge(max(a, b))
            case .min: .gauge(min(a, b))
            }
        case (.histogram(var a), .histogram(let b)):
            {
                a.merge(b)
                return .histogram(a)
            }()
        default: preconditionFailure("one family, two kinds of value")
        }
    }
}
