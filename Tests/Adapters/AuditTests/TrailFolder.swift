import Audit
import Foundation
import Logging
import ServerConfig

/// A folder for a trail, for the time of a test.
final class TrailFolder {
    let path = NSTemporaryDirectory() + "pgmosaic-audit-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var trail: String { path + "/audit.jsonl" }

    static func logger() -> Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    func open(key: [UInt8]? = nil, _ change: (inout AuditSettings) -> Void = { _ in }, now: @escaping @Sendable () -> Double = { 1_760_000_000 }) throws -> AuditTrail {
        var settings = AuditSettings(path: trail)
        change(&settings)
        return try AuditTrail(path: trail, settings, server: "manager-1", key: key, logger: Self.logger(), now: now)
    }

    /// A trail with so many logins, closed.
    func written(_ count: Int, key: [UInt8]? = nil) throws {
        let trail = try open(key: key)
        for number in 1...count { trail.record(AuditEvent("login", user: "user-\(number)", address: "127.0.0.1", object: "shop")) }
        trail.close()
    }

    /// Of the trail's own file.
    var lines: [String] { Self.lines(of: trail) }

    static func lines(of path: String) -> [String] {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func replace(_ lines: [String]) throws { try (lines.joined(separator: "\n") + "\n").write(toFile: trail, atomically: false, encoding: .utf8) }

    /// All files of the trail, the oldest first.
    var files: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasPrefix("audit.jsonl.") && !$0.hasSuffix(".head") }.sorted().map { "\(path)/\($0)" } + [trail]
    }
}
