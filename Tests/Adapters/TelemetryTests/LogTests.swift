import ControlAPI
import Logging
import Synchronization
import Telemetry
import Testing

@Suite struct LogTests {
    /// Collects what a handler writes.
    private final class Collected: Sendable {
        private let bytes = Mutex<[UInt8]>([])
        var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }
        func take(_ more: [UInt8]) { bytes.withLock { $0 += more } }
    }

    private func logged(_ format: MosaicLogHandler.Format, _ body: (Logger) -> Void) -> String {
        let collected = Collected()
        let sink = LogSink { collected.take($0) }
        let logger = Logger(label: "test") { label in
            MosaicLogHandler(label: label, level: .info, format: format, sink: sink, now: { Timestamp(milliseconds: 1_700_000_000_123) })
        }
        body(logger)
        sink.flush()
        return collected.text
    }

    @Test func aRecordIsOneJSONObjectOnOneLine() {
        let text = logged(.json) { $0.warning("it \"broke\"\nbadly", metadata: ["shard": "s1", "count": .stringConvertible(7)]) }
        #expect(
            text == #"{"ts":"2023-11-14T22:13:20.123Z","level":"warning","logger":"test","msg":"it \"broke\"\nbadly","fields":{"count":7,"shard":"s1"}}"#
                + "\n")
    }

    @Test func aTextRecordCannotDriveATerminal() {
        let text = logged(.text) { $0.info("a\u{1B}[2Jb", metadata: ["k": "x\r\ny"]) }
        #expect(!text.dropLast().contains { $0 == "\u{1B}" || $0.isNewline })
        #expect(text.hasPrefix("2023-11-14T22:13:20.123Z INFO "))
    }

    @Test func levelsBelowTheLimitAreNotWritten() {
        #expect(logged(.json) { $0.debug("no") }.isEmpty)
    }

    @Test(arguments: MosaicLogHandler.Format.allCases) func secretsAreNeverWritten(format: MosaicLogHandler.Format) {
        let text = logged(format) { logger in
            logger.info(
                "connecting to postgres://app:hunter2@host/db",
                metadata: [
                    "password": "hunter2", "scram_verifier": "hunter2", "Authorization": "Bearer hunter2",
                    "endpoint": "postgres://app@host/db?password=hunter2&x=1", "nested": ["api_key": "hunter2", "list": ["a://b:hunter2@c"]],
                    // Not encoded, as it should be.
                    "location": "postgres://app:x@/hunter2@host/db",
                ])
        }
        #expect(!text.contains("hunter2") && text.contains(Redaction.mark) && text.contains("x=1"))
    }

    @Test func aFullBufferDropsLinesCountsThemAndSaysSo() {
        let collected = Collected()
        let gate = Mutex(false)
        let sink = LogSink(capacity: 100) { bytes in
            while !gate.withLock({ $0 }) {}
            collected.take(bytes)
        }
        let line = [UInt8](repeating: 0x61, count: 39) + [0x0A]
        // One or two may already be on their way out; of the others two fit.
        for _ in 0..<10 { sink.write(line) }
        let dropped = sink.droppedCount
        #expect(dropped >= 6 && dropped <= 8)
        gate.withLock { $0 = true }
        sink.flush()
        sink.write(line)
        sink.flush()
        #expect(collected.text.contains("\"msg\":\"log records dropped\",\"count\":\(dropped)}"))
    }
}
