import Foundation
import Telemetry
import Testing

/// docs/reference/metrics.md says what the catalogue says. To write it anew:
/// `PGMOSAIC_UPDATE_DOCS=1 swift test --filter MetricsReferenceTests`
@Suite struct MetricsReferenceTests {
    static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("docs/reference/metrics.md")

    @Test func theReferencePageIsTheCatalogue() throws {
        let page = Self.page()
        if ProcessInfo.processInfo.environment["PGMOSAIC_UPDATE_DOCS"] != nil {
            try page.write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: Self.file, encoding: .utf8)
        #expect(written == page, "docs/reference/metrics.md differs; write it anew with PGMOSAIC_UPDATE_DOCS=1")
    }

    @Test func namesAreUniqueAndFollowPrometheusRules() {
        #expect(Set(MetricCatalogue.all.map(\.name)).count == MetricCatalogue.all.count)
        for family in MetricCatalogue.all {
            #expect(family.name.wholeMatch(of: /[a-z_]+/) != nil, "\(family.name)")
            #expect(family.labels.allSatisfy { $0.wholeMatch(of: /[a-z_]+/) != nil && $0 != "le" }, "\(family.name)")
            #expect(family.help.hasSuffix("."), "\(family.name)")
            #expect((family.kind == .counter) == family.name.hasSuffix("_total"), "\(family.name): counters, and only they, end with _total")
            #expect(family.kind != .histogram || family.name.hasSuffix("_seconds"), "\(family.name): a histogram's unit ends its name")
        }
    }

    static func page() -> String {
        let rows = MetricCatalogue.all.map { family in
            let labels = family.labels.map { "`\($0)`" }.joined(separator: ", ")
            return "| `\(family.name)` | \(family.kind.rawValue) | \(labels) | \(family.help) |"
        }
        return """
            # Metrics

            `GET /metrics` of the router and of the manager answers in Prometheus' text format (0.0.4). This is all of it, from
            `Sources/Adapters/Telemetry/Metrics/MetricCatalogue.swift`; a test keeps this page equal to it. A family appears once it has a value.
            Labels are closed sets or bounded by the catalog; none ever holds a value that a client chose.

            Histograms have a bucket at each power of two from 1.024 µs to 68.7 s.

            | metric | kind | labels | meaning |
            |---|---|---|---|
            \(rows.joined(separator: "\n"))

            """
    }
}
