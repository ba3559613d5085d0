#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
import Dispatch
import Synchronization

/// Where finished log lines go: a bounded buffer that a thread of its own empties, so that an event loop never waits for a terminal or a pipe.
///
/// When the reader is too slow and the buffer is full, lines are dropped and counted (`pgmosaic_log_records_dropped_total`), and the first line
/// that fits again is preceded by one that says how many are missing.
package final class LogSink: Sendable {
    package static let standardError = LogSink { bytes in writeAll(bytes, to: STDERR_FILENO) }
    package static let bufferMax = 1 << 20

    private struct State {
        var buffer: [UInt8] = []
        var dropped: UInt64 = 0
        var droppedSinceReport: UInt64 = 0
        var isScheduled = false
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "pgmosaic.log")
    private let output: @Sendable ([UInt8]) -> Void
    private let capacity: Int

    package init(capacity: Int = LogSink.bufferMax, output: @escaping @Sendable ([UInt8]) -> Void) {
        self.capacity = capacity
        self.output = output
    }

    package var droppedCount: UInt64 { state.withLock { $0.dropped } }

    /// Takes one line, with its end of line.
    package func write(_ line: [UInt8]) {
        let mustSchedule = state.withLock { state in
            guard state.buffer.count + line.count <= capacity else {
                state.dropped += 1
                state.droppedSinceReport += 1
                return false
            }
            if state.droppedSinceReport > 0 {
                state.buffer.append(contentsOf: "{\"level\":\"warning\",\"msg\":\"log records dropped\",\"count\":\(state.droppedSinceReport)}\n".utf8)
                state.droppedSinceReport = 0
            }
            state.buffer.append(contentsOf: line)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { queue.async { self.drain() } }
    }

    /// Waits until what was written before is out: for the end of the process.
    package func flush() {
        queue.sync { drain() }
    }

    private func drain() {
        while true {
            let bytes = state.withLock { state in
                if state.buffer.isEmpty { state.isScheduled = false }
                return exchange(&state.buffer, with: [])
            }
            if bytes.isEmpty { return }
            output(bytes)
        }
    }

    private func exchange(_ value: inout [UInt8], with new: [UInt8]) -> [UInt8] {
        let old = value
        value = new
        return old
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = systemWrite(descriptor, rest)
                if count < 0, errno == EINTR { continue }
                // Nobody reads any more: there is no better place to say so.
                if count <= 0 { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}

private func systemWrite(_ descriptor: Int32, _ bytes: Slice<UnsafeRawBufferPointer>) -> Int {
    write(descriptor, UnsafeRawBufferPointer(rebasing: bytes).baseAddress, bytes.count)
}
