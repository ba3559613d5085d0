/// The name of a replication slot: 1 to 63 of `a-z 0-9 _`, PostgreSQL's own rule (ReplicationSlotValidateName). Unique on its whole server.
package struct SlotName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let lengthMax = 63

    package let text: String

    /// nil: PostgreSQL would refuse it.
    package init?(_ text: String) {
        guard (1...Self.lengthMax).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        self.text = text
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
    }

    package static func < (a: SlotName, b: SlotName) -> Bool { a.text < b.text }
    package var description: String { text }
}
