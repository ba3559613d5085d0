import Telemetry
import Testing

@Suite struct LatencyHistogramTests {
    /// The bound that the type promises: a quantile is at most an eighth above the true value, and never below it.
    @Test func anyQuantileIsKnownToAnEighth() {
        var generator = SystemRandomNumberGenerator()
        let values = (0..<5_000).map { _ in UInt64.random(in: 1_025...60_000_000_000, using: &generator) }
        var histogram = LatencyHistogram()
        for value in values { histogram.record(nanoseconds: value) }
        let sorted = values.sorted()
        for quantile in [0.01, 0.5, 0.9, 0.99, 1] {
            let exact = sorted[max(0, Int((Double(sorted.count) * quantile).rounded(.up)) - 1)]
            let told = histogram.quantile(quantile) ?? 0
            #expect(told >= exact && Double(told) <= Double(exact) * 1.125 + 1, "quantile \(quantile): \(exact) told as \(told)")
        }
    }

    @Test func anUpperEndBelongsToItsBucket() {
        for power in LatencyHistogram.firstPower...LatencyHistogram.lastPower {
            var histogram = LatencyHistogram()
            histogram.record(nanoseconds: 1 << UInt64(power))
            #expect(histogram.cumulative.first { $0.count == 1 }?.le == 1 << UInt64(power))
        }
    }

    @Test func emptyAndOutOfRangeValuesAreAnswered() {
        var histogram = LatencyHistogram()
        #expect(histogram.quantile(0.5) == nil)
        histogram.record(nanoseconds: .max)
        histogram.record(.seconds(-5))
        #expect(histogram.count == 2 && histogram.quantile(0) == 1 << 10 && histogram.quantile(1) == 1 << 36)
    }

    @Test func mergingIsRecordingBoth() {
        var (a, b, both) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for value: UInt64 in [1, 5_000, 80_000] { a.record(nanoseconds: value); both.record(nanoseconds: value) }
        for value: UInt64 in [70_000_000, 9] { b.record(nanoseconds: value); both.record(nanoseconds: value) }
        a.merge(b)
        #expect(a == both)
    }

    @Test func aCounterGridKeepsItsPositionsWhileItGrows() {
        var grid = CounterGrid(MetricCatalogue.statements, axes: [["none"], ["select", "insert"], ["ok", "error"]])
        grid.add(at: 0, 1, 0)
        let shard = grid.position(of: "shard-1")
        grid.add(3, at: shard, 0, 1)
        #expect(grid.position(of: "shard-1") == shard)
        var snapshot = MetricSnapshot()
        grid.collect(into: &snapshot)
        #expect(
            snapshot.series["pgmosaic_statements_total"] == [
                ["none", "insert", "ok"]: .counter(1), ["shard-1", "select", "error"]: .counter(3),
            ])
    }
}
