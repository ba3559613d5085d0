import ControlAPI
import Telemetry
import Testing

@Suite struct PrometheusTextTests {
    @Test func aCounterHasItsHelpTypeAndSortedSeries() {
        var snapshot = MetricSnapshot()
        snapshot.add(MetricCatalogue.refusals, ["PGM-B"], counter: 2)
        snapshot.add(MetricCatalogue.refusals, ["PGM-A"], counter: 1)
        #expect(
            PrometheusText.render(snapshot) == """
                # HELP pgmosaic_refusals_total Statements refused, by the PGM code of the refusal.
                # TYPE pgmosaic_refusals_total counter
                pgmosaic_refusals_total{code="PGM-A"} 1
                pgmosaic_refusals_total{code="PGM-B"} 2

                """)
    }

    @Test func labelValuesAreEscaped() {
        var snapshot = MetricSnapshot()
        snapshot.add(MetricCatalogue.refusals, ["a\"b\\c\nd"], counter: 1)
        #expect(PrometheusText.render(snapshot).contains(#"{code="a\"b\\c\nd"} 1"#))
    }

    @Test func aHistogramIsCumulativeAndEndsWithItsCount() throws {
        var histogram = LatencyHistogram()
        for nanoseconds: UInt64 in [500, 2_000, 3_000_000, 200_000_000_000] { histogram.record(nanoseconds: nanoseconds) }
        var snapshot = MetricSnapshot()
        snapshot.add(MetricCatalogue.poolWaitSeconds, ["s1"], histogram: histogram)
        let lines = PrometheusText.render(snapshot).split(separator: "\n").map(String.init)
        let counts = lines.filter { $0.hasPrefix("pgmosaic_pool_wait_seconds_bucket") }.compactMap { UInt64($0.split(separator: " ").last ?? "") }
        #expect(counts == counts.sorted() && counts.first == 1 && counts.last == 4)
        #expect(counts.dropLast().last == 3, "a value above all bounds is only in +Inf")
        #expect(lines.contains(#"pgmosaic_pool_wait_seconds_bucket{shard="s1",le="+Inf"} 4"#))
        #expect(lines.contains(#"pgmosaic_pool_wait_seconds_count{shard="s1"} 4"#))
        #expect(lines.contains { $0.hasPrefix(#"pgmosaic_pool_wait_seconds_sum{shard="s1"} 200.003"#) })
    }

    @Test func seriesOfSeveralSourcesMergeAsTheirFamilySays() async {
        let registry = MetricRegistry()
        for epoch in [7.0, 5.0, 9.0] {
            registry.add {
                var part = MetricSnapshot()
                part.add(MetricCatalogue.catalogEpoch, gauge: epoch)
                part.add(MetricCatalogue.refusals, ["x"], counter: 10)
                return part
            }
        }
        let text = await registry.render()
        #expect(text.contains("pgmosaic_catalog_epoch 5\n") && text.contains("pgmosaic_refusals_total{code=\"x\"} 30\n"))
    }

    @Test func theProcessTellsItsMemoryTimeAndVersion() {
        let text = PrometheusText.render(ProcessMetrics.snapshot(version: "1.2.3", role: "router", startedAt: .init(seconds: 1000)))
        #expect(text.contains(#"pgmosaic_build_info{version="1.2.3",role="router"} 1"#))
        #expect(text.contains("process_start_time_seconds 1000\n") && text.contains("process_cpu_seconds_total "))
    }
}
