import ControlAPI

/// A job as a person reads it.
enum JobText {
    static func begun(_ job: JSONValue) -> String {
        "\(line(job))\nfollow it with: pgmosaic reshard watch \(TextTable.printable(job.cell("id")))"
    }

    static func table(_ jobs: [JSONValue]) -> String {
        var table = TextTable(["ID", "TYPE", "DATABASE", "FROM", "TO", "VNODES", "STATUS", "STEP", "DONE", "STARTED"], right: [5, 8])
        for job in jobs {
            table.add([
                job.cell("id"), job.cell("type"), job.cell("database"), job.cell("source_shards"), job.cell("target_shards"), job.cell("vnodes"),
                job.cell("status"), job.cell("step"), percent(job["progress"]), job.cell("started_at"),
            ])
        }
        return table.text
    }

    /// Everything that counts on one line.
    static func line(_ job: JSONValue) -> String {
        var parts = ["job \(job.cell("id"))", "\(job.cell("status")) (\(job.cell("step")))", percent(job["progress"])]
        if count(job, "total_bytes") > 0, job["status"] == "precopy" { parts.append("\(copied(job))") }
        if job["status"] == "deltasync" { parts.append("lag \(JSONValue.shownBytes(count(job, "lag_bytes")))") }
        if let pause = pause(job) { parts.append("pause \(pause)") }
        if count(job, "attempts_abandoned") > 0 { parts.append("\(count(job, "attempts_abandoned")) attempts given up") }
        if let reason = job["error_message"]?.stringValue { parts.append(reason) }
        return TextTable.printable(parts.joined(separator: "  "))
    }

    static func fields(_ job: JSONValue) -> String {
        TextFields.text(
            [
                ("id", job.cell("id")), ("type", job.cell("type")), ("database", job.cell("database")), ("from", job.cell("source_shards")),
                ("to", job.cell("target_shards")), ("vnodes", job.cell("vnodes")), ("status", "\(job.cell("status")) (\(job.cell("step")))"),
                ("direction", job.cell("direction")), ("way back", job.cell("has_way_back")), ("ends transactions", job.cell("end_transactions")), ("done", percent(job["progress"])),
                ("rows", "\(Progress.grouped(Int(count(job, "keys_migrated")))) of about \(Progress.grouped(Int(count(job, "total_keys"))))"),
                ("read", copied(job)), ("lag", JSONValue.shownBytes(count(job, "lag_bytes"))), ("pause", pause(job) ?? ""),
                ("attempts given up", job.cell("attempts_abandoned")), ("retries", job.cell("retries")), ("reason", job.cell("error_message")),
                ("begun", job.cell("started_at")), ("changed", job.cell("updated_at")), ("switched", job.cell("switched_at")), ("over", job.cell("completed_at")),
            ].filter { !$0.1.isEmpty })
    }

    // MARK: pieces

    static func percent(_ part: JSONValue?) -> String {
        let permille = Int(((part?.numberValue ?? 0) * 1000).rounded())
        return "\(permille / 10).\(permille % 10) %"
    }

    static func copied(_ job: JSONValue) -> String {
        "\(JSONValue.shownBytes(count(job, "bytes_copied"))) of \(JSONValue.shownBytes(count(job, "total_bytes")))"
    }

    static func pause(_ job: JSONValue) -> String? { job["pause_ms"]?.numberValue.map { "\(Int($0.rounded())) ms" } }

    static func count(_ value: JSONValue, _ name: String) -> Int64 { value[name]?.integerValue ?? 0 }
}

extension JSONValue {
    /// Any number, as near as a Double comes.
    var numberValue: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let text): Double(text)
        default: nil
        }
    }
}
