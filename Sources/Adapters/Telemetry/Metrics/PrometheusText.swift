/// The Prometheus text exposition format, version 0.0.4.
package enum PrometheusText {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Families in catalogue order, series sorted by their labels; families without a series are left out.
    package static func render(_ snapshot: MetricSnapshot, families: [MetricFamily] = MetricCatalogue.all) -> String {
        var out = ""
        for family in families {
            guard let series = snapshot.series[family.name], !series.isEmpty else { continue }
            out += "# HELP \(family.name) \(escapeHelp(family.help))\n# TYPE \(family.name) \(family.kind.rawValue)\n"
            for (labels, value) in series.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                let pairs = zip(family.labels, labels).map { "\($0)=\"\(escapeLabel($1))\"" }
                switch value {
                case .counter(let count): line(family.name, pairs, String(count), to: &out)
                case .gauge(let number): line(family.name, pairs, format(number), to: &out)
                case .histogram(let histogram): render(histogram, family.name, pairs, to: &out)
                }
            }
        }
        return out
    }

    private static func render(_ histogram: LatencyHistogram, _ name: String, _ pairs: [String], to out: inout String) {
        for bucket in histogram.cumulative {
            line("\(name)_bucket", pairs + ["le=\"\(format(Double(bucket.le) / 1e9))\""], String(bucket.count), to: &out)
        }
        line("\(name)_bucket", pairs + ["le=\"+Inf\""], String(histogram.count), to: &out)
        line("\(name)_sum", pairs, format(Double(histogram.sum) / 1e9), to: &out)
        line("\(name)_count", pairs, String(histogram.count), to: &out)
    }

    private static func line(_ name: String, _ pairs: [String], _ value: String, to out: inout String) {
        out += name
        if !pairs.isEmpty { out += "{\(pairs.joined(separator: ","))}" }
        out += " \(value)\n"
    }

    private static func format(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: number) { return String(whole) }
        return String(number)
    }

    private static func escapeLabel(_ text: String) -> String {
        escapeHelp(text).replacing("\"", with: "\\\"")
    }

    private static func escapeHelp(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }
}
