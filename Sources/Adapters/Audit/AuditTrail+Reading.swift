internal import Foundation
package import ControlAPI

/// Which lines somebody wants to see.
package struct AuditQuery: Hashable, Sendable {
    package var since: Timestamp?
    package var user: String?
    package var action: String?
    /// Lines behind this one.
    package var after: UInt64
    package var limit: Int

    package init(since: Timestamp? = nil, user: String? = nil, action: String? = nil, after: UInt64 = 0, limit: Int) {
        self.since = since
        self.user = user
        self.action = action
        self.after = after
        self.limit = limit
    }
}

extension AuditTrail {
    /// So much is read for one page; one with fewer lines than asked for has a next one all the same.
    private static let bytesMax = 8 << 20

    /// Lines of this server's own trail, the oldest first, and where to go on; nil: there are no more now. Reads files: not on an event loop.
    package func lines(_ query: AuditQuery) -> (lines: [JSONValue], next: UInt64?) {
        let names = AuditFileNames(path: path)
        let since = query.since?.description
        var found: [JSONValue] = []
        var (read, seen) = (0, query.after)
        let old = names.rotated.filter { $0.last > query.after && !Self.isOlder($0.path, than: query.since) }.map(\.path)
        for path in old + [names.path] {
            // It may have been removed just now.
            guard let reader = LineReader(path) else { continue }
            reader.skip(to: Self.place(of: query.after, in: path))
            while let line = reader.next() {
                guard !line.isCutOff, let parsed = AuditLine(line.bytes), parsed.sequence > query.after else { continue }
                guard found.count < query.limit, read + reader.bytesRead <= Self.bytesMax else { return (found, seen) }
                seen = parsed.sequence
                // Times of one form and zone are in the order of their texts.
                if let since, parsed.time < since { continue }
                if let user = query.user, parsed.user != user { continue }
                if let action = query.action, parsed.action != action { continue }
                found.append(parsed.value)
            }
            read += reader.bytesRead
        }
        return (found, nil)
    }

    /// Not behind the line after `sequence`, and not far before it.
    private static func place(of sequence: UInt64, in path: String) -> Int {
        guard sequence > 0, let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber else { return 0 }
        var (low, high) = (0, size.intValue)
        while high - low > 256 << 10 {
            let middle = (low + high) / 2
            guard let reader = LineReader(path) else { return low }
            reader.skip(to: middle)
            if let line = reader.next(), let parsed = AuditLine(line.bytes), parsed.sequence <= sequence { low = middle } else { high = middle }
        }
        return low
    }

    private static func isOlder(_ path: String, than time: Timestamp?) -> Bool {
        guard let time, let date = (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date else { return false }
        return date.timeIntervalSince1970 < time.seconds
    }
}
