import ControlAPI

/// The live view of a job: what a terminal shows at one moment, from the states that were seen until then.
struct JobScreen {
    static let barWidth = 30
    static let tablesMax = 12

    /// Seconds, and bytes read by the copy: of the last half a minute.
    private var samples: [(time: Double, bytes: Int64)] = []

    mutating func saw(_ job: JSONValue, at time: Double) {
        guard job["status"] == "precopy" else { return samples = [] }
        // A copy that begins anew counts from nothing.
        if let last = samples.last, last.bytes > JobText.count(job, "bytes_copied") { samples = [] }
        samples.append((time, JobText.count(job, "bytes_copied")))
        samples.removeAll { $0.time < time - 30 }
    }

    /// Bytes a second; nil: not known yet.
    var rate: Double? {
        guard let first = samples.first, let last = samples.last, last.time > first.time else { return nil }
        return Double(last.bytes - first.bytes) / (last.time - first.time)
    }

    /// Seconds until the copy's end, at this rate.
    func remaining(_ job: JSONValue) -> Double? {
        guard job["status"] == "precopy", let rate, rate > 0 else { return nil }
        return Double(max(0, JobText.count(job, "total_bytes") - JobText.count(job, "bytes_copied"))) / rate
    }

    func lines(_ job: JSONValue) -> [String] {
        var lines = [
            "job \(job.cell("id"))  \(job.cell("type")) of \(job.cell("database")): \(job.cell("source_shards")) to \(job.cell("target_shards")), \(job.cell("vnodes")) vnodes",
            "\(Self.bar(job["progress"]?.numberValue ?? 0)) \(JobText.percent(job["progress"]))  \(job.cell("status")) (\(job.cell("step")))",
        ]
        if job["status"] == "precopy" {
            var line = "read \(JobText.copied(job))"
            if let rate { line += ", \(JSONValue.shownBytes(Int64(rate))) a second" }
            if let seconds = remaining(job) { line += ", about \(Self.duration(seconds)) left" }
            lines.append(line)
        }
        lines += (job["loads"]?.arrayValue ?? []).compactMap(Self.load)
        let tables = job["tables"]?.arrayValue ?? []
        if job["status"] == "precopy" { lines += tables.prefix(Self.tablesMax).map(Self.table) }
        if tables.count > Self.tablesMax, job["status"] == "precopy" { lines.append("  and \(tables.count - Self.tablesMax) more tables") }
        for stream in job["streams"]?.arrayValue ?? [] {
            let reason = stream["reason"]?.stringValue.map { ": \($0)" } ?? ""
            lines.append(
                "changes of \(stream.cell("source_shard")): \(stream.cell("state")), \(Progress.grouped(Int(JobText.count(stream, "changes")))) applied, "
                    + "lag \(JSONValue.shownBytes(JobText.count(stream, "lag_bytes")))\(reason)")
        }
        if let pause = JobText.pause(job) { lines.append("statements waited \(pause) at most") }
        if let reason = job["error_message"]?.stringValue { lines.append("\(JobText.count(job, "retries")) retries, \(JobText.count(job, "attempts_abandoned")) attempts given up; the last reason: \(reason)") }
        return lines.map(TextTable.printable)
    }

    /// nil: the copy is not held back.
    private static func load(_ load: JSONValue) -> String? {
        guard let limit = load["bytes_per_second_max"]?.integerValue else { return nil }
        var line = "reading of \(load.cell("source_shard")) is held back to \(JSONValue.shownBytes(limit)) a second"
        if load["commit_ms"] != nil { line += ": its commits take \(load.cell("commit_ms")) ms" }
        if load["commit_ms_before"] != nil { line += ", and took \(load.cell("commit_ms_before")) ms before" }
        return line
    }

    private static func table(_ table: JSONValue) -> String {
        let (copied, all) = (JobText.count(table, "rows_copied"), JobText.count(table, "total_rows"))
        let part = all > 0 ? min(1, Double(copied) / Double(all)) : 0
        return "  \(bar(part)) \(table.cell("name"))  \(Progress.grouped(Int(copied))) of about \(Progress.grouped(Int(all))) rows"
    }

    static func bar(_ part: Double) -> String {
        let full = Int((max(0, min(1, part)) * Double(barWidth)).rounded())
        return "[" + String(repeating: "#", count: full) + String(repeating: ".", count: barWidth - full) + "]"
    }

    /// "45 s", "3 min 5 s", "2 h 4 min"
    static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }
}
