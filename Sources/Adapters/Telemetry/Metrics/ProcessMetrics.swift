#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
package import ControlAPI
import Foundation

/// What the operating system knows about this process, read when scraped.
package enum ProcessMetrics {
    package static func snapshot(version: String, role: String, startedAt: Timestamp) -> MetricSnapshot {
        var snapshot = MetricSnapshot()
        snapshot.add(MetricCatalogue.build, [version, role], gauge: 1)
        snapshot.add(MetricCatalogue.startTime, gauge: startedAt.seconds)
        snapshot.add(MetricCatalogue.cpuSeconds, gauge: cpuSeconds())
        if let bytes = residentBytes() { snapshot.add(MetricCatalogue.residentMemory, gauge: Double(bytes)) }
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            snapshot.add(MetricCatalogue.openFiles, gauge: Double(files))
        }
        snapshot.add(MetricCatalogue.logDropped, counter: LogSink.standardError.droppedCount)
        return snapshot
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// The second field of `/proc/self/statm`, in pages; nil where there is no /proc.
    private static func residentBytes() -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
