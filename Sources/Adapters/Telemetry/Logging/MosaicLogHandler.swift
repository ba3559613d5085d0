package import ControlAPI
package import Logging
import Foundation

/// One log record as one line: JSON for machines, or text for a terminal.
///
/// JSON members: `ts` (RFC 3339, milliseconds, UTC), `level`, `logger`, `msg`, `error` where one was given, and `fields`. What `Redaction` holds to be a
/// secret is never written.
package struct MosaicLogHandler: LogHandler {
    package enum Format: String, Sendable, CaseIterable { case json, text }

    /// This logger's own; nil: the process's, which may change.
    private var ownLevel: Logger.Level?
    package var logLevel: Logger.Level {
        get { ownLevel ?? LogLevels.level(of: slot) }
        set { ownLevel = newValue }
    }
    /// Of the subsystem that the logger belongs to, for its level.
    private var slot: Int?
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: Format
    private let sink: LogSink
    private let now: @Sendable () -> Timestamp

    package init(
        label: String, level: Logger.Level? = .info, format: Format = .json, sink: LogSink = .standardError,
        now: @escaping @Sendable () -> Timestamp = { Timestamp(seconds: Date().timeIntervalSince1970) }
    ) {
        self.label = label
        ownLevel = level
        self.format = format
        self.sink = sink
        self.now = now
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set {
            metadata[key] = newValue
            if key == Self.subsystemKey { slot = newValue.flatMap { LogSubsystem(rawValue: "\($0)") }.flatMap(LogLevels.slot) }
        }
    }

    package func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        let error = event.error.map { Redaction.clean(String(describing: $0)) }
        let message = Redaction.clean(event.message.description)
        switch format {
        case .json: sink.write(json(event.level, message, error, fields))
        case .text: sink.write(text(event.level, message, error, fields))
        }
    }

    private func json(_ level: Logger.Level, _ message: String, _ error: String?, _ fields: Logger.Metadata) -> [UInt8] {
        var members: [JSONValue.Member] = [
            .init("ts", .string(now().description)), .init("level", .string(level.rawValue)),
            .init("logger", .string(label)), .init("msg", .string(message)),
        ]
        if let error { members.append(.init("error", .string(error))) }
        if !fields.isEmpty {
            let sorted = fields.sorted { $0.key < $1.key }
            members.append(.init("fields", .object(sorted.map { .init($0.key, Redaction.field($0.key, $0.value)) })))
        }
        return JSONValue.object(members).encoded() + [0x0A]
    }

    private func text(_ level: Logger.Level, _ message: String, _ error: String?, _ fields: Logger.Metadata) -> [UInt8] {
        var line = "\(now()) \(level.rawValue.uppercased()) \(printable(message))"
        if let error { line += " error=\(printable(error))" }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            let value = Redaction.field(key, value)
            line += " \(printable(key))=\(value.stringValue.map(printable) ?? value.text)"
        }
        return Array(line.utf8) + [0x0A]
    }

    /// As it is when harmless, quoted as JSON otherwise: a terminal must not be driven by what is logged.
    private func printable(_ text: String) -> String {
        let harmless = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && !(0x80...0x9F).contains($0.value) }
        return harmless ? text : JSONValue.string(text).text
    }
}

extension MosaicLogHandler {
    /// Makes this the process's log system; call it once, at the start.
    package static func bootstrap(levels: LogLevels, format: Format) {
        LogLevels.now = levels
        LoggingSystem.bootstrap { MosaicLogHandler(label: $0, level: nil, format: format) }
    }

    /// The field that tells which subsystem a line is of.
    package static let subsystemKey = "subsystem"

    /// Text when a person watches standard error, JSON otherwise.
    package static var formatForStandardError: Format { isatty(STDERR_FILENO) == 1 ? .text : .json }
}
