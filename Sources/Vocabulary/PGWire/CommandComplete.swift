package import NIOCore

/// CommandComplete's tag: what was done, and to how many rows.
package struct CommandTag: Hashable, Sendable {
    /// The tag as sent: "INSERT 0 5", "CREATE TABLE".
    package let text: String

    package init(text: String) { self.text = text }

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.commandComplete
        var body = body
        text = try body.readCString(kind: kind)
        try body.requireEmpty(kind: kind)
    }

    /// The command without its numbers: "INSERT", "CREATE TABLE".
    package var verb: String {
        let words = text.split(separator: " ").prefix { !Self.isNumber($0) }
        return words.joined(separator: " ")
    }

    /// Rows touched or returned; nil for commands that count none. INSERT's first number is an oid, not a count.
    package var rows: Int? {
        guard let last = text.split(separator: " ").last, Self.isNumber(last) else { return nil }
        return Int(last)
    }

    private static func isNumber(_ word: Substring) -> Bool {
        word.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }
}

extension ByteBuffer {
    package mutating func writeCommandComplete(tag: String) {
        writeFrame(BackendKind.commandComplete) { $0.writeCString(tag) }
    }
}
