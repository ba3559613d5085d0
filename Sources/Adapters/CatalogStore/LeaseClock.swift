#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
internal import Foundation

/// A moment by a clock that nobody sets: milliseconds since the machine's start, and which start that was.
///
/// Leases and announcements end by this clock instead of the time of day, which jumps when it is corrected and would end a lease early or keep
/// a dead holder's for hours. All who share a store that is a file are on one machine, so they share this clock; after a restart of the machine
/// no holder is left alive, and everything of an earlier start counts as expired.
package struct LeaseInstant: Hashable, Sendable {
    /// Identifies the machine's start.
    package var boot: String
    package var milliseconds: Int64

    package init(boot: String, milliseconds: Int64) {
        self.boot = boot
        self.milliseconds = milliseconds
    }

    /// This moment plus `ttl`: at least now, and never beyond what can be stored.
    package func adding(_ ttl: Duration) -> LeaseInstant {
        let (seconds, attoseconds) = ttl.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let length = overflow ? (seconds < 0 ? 0 : Int64.max / 2) : min(whole, Int64.max / 2) + attoseconds / 1_000_000_000_000_000
        return LeaseInstant(boot: boot, milliseconds: milliseconds + max(0, min(length, Int64.max / 2)))
    }

    /// Whether `self`, an end, has come by `now`.
    package func hasPassed(at now: LeaseInstant) -> Bool { boot != now.boot || milliseconds <= now.milliseconds }
}

package protocol LeaseClock: Sendable {
    var now: LeaseInstant { get }
}

/// The machine's own clock since its start; it runs on while the machine sleeps.
package struct SystemLeaseClock: LeaseClock {
    private static let boot: String = {
        let text = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        return text?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "this start"
    }()

    package init() {}

    package var now: LeaseInstant {
        var time = timespec()
        #if os(Linux)
        clock_gettime(CLOCK_BOOTTIME, &time)
        #else
        clock_gettime(CLOCK_MONOTONIC, &time)
        #endif
        return LeaseInstant(boot: Self.boot, milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
