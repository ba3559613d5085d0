internal import ControlAPI

/// Which line was the last, in a small file beside the trail (`….head`). Without it nobody could tell a trail from one whose last lines were taken away.
///
/// Written behind the lines: after a crash the trail may be ahead of it, and never behind.
package struct AuditHead: Hashable, Sendable {
    package var sequence: UInt64
    /// That of the line.
    package var hash: String

    /// Of one length, so that one write replaces it.
    var bytes: [UInt8] {
        let number = String(sequence)
        return Array(#"{"seq":"\#(String(repeating: "0", count: 20 - number.count) + number)","hash":"\#(hash)"}"#.utf8) + [UInt8(ascii: "\n")]
    }

    init(sequence: UInt64, hash: String) {
        self.sequence = sequence
        self.hash = hash
    }

    init?(_ bytes: [UInt8]) {
        guard let value = try? JSONParser.parse(bytes), let sequence = value["seq"]?.stringValue.flatMap(UInt64.init), let hash = value["hash"]?.stringValue
        else { return nil }
        self.init(sequence: sequence, hash: hash)
    }

    package static func path(of trail: String) -> String { trail + ".head" }
}
