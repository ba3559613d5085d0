internal import Foundation

/// The files of one trail: the one that is written to, and those before it, whose names end with the number of their last line.
struct AuditFileNames: Sendable {
    static let digits = 16

    let path: String

    /// Names that a path stands for, in order: a router that is started before its predecessor has ended finds the first one taken.
    static func candidates(_ path: String) -> [String] {
        let slash = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
        let dot = path[slash...].lastIndex(of: ".").flatMap { $0 == slash ? nil : $0 } ?? path.endIndex
        return [path] + (2...9).map { "\(path[..<dot])-\($0)\(path[dot...])" }
    }

    func rotated(upTo sequence: UInt64) -> String {
        let number = String(sequence)
        return "\(path).\(String(repeating: "0", count: max(0, Self.digits - number.count)))\(number)"
    }

    /// The oldest first.
    var rotated: [(path: String, last: UInt64)] {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let prefix = String(path[(slash.map(path.index(after:)) ?? path.startIndex)...]) + "."
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { name in
            guard name.hasPrefix(prefix), case let number = name.dropFirst(prefix.count), number.count >= Self.digits,
                number.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let last = UInt64(number)
            else { return nil }
            return ("\(slash == nil ? "" : folder == "/" ? "" : folder)\(slash == nil ? "" : "/")\(name)", last)
        }.sorted { $0.last < $1.last }
    }
}
