package import ShardModel

/// The name of a transaction with several writers: where its decision is kept, and under which key.
///
/// Text form of the decision: `pgmosaic:<cluster>:<router>:<start>-<number>:<decider>`, and of what one participant prepares:
/// the same with `:<position>`. It is shorter than PostgreSQL's 200 bytes (GIDSIZE), consists of letters, digits and `._-:%` only, so that it
/// needs no quoting inside a literal, and is never used twice: `start` is random for each start of the router, `number` counts.
///
/// The decider is named and not numbered, because recovery looks for it long after, in another process with a newer catalog. The participant
/// needs no name, for recovery lists it where it lies; its position keeps names apart when two shards are databases of one server,
/// where a prepared transaction's name must be unique over both.
package struct GlobalTransactionID: Hashable, Sendable {
    package let cluster: String
    package let router: String
    package let start: UInt64
    package let number: UInt64
    package let decider: ShardID

    /// PostgreSQL refuses a name of this many bytes or more (GIDSIZE counts the terminator).
    package static let bytesMax = 199
    /// As many as a position of three digits allows; bounded elsewhere long before.
    package static let participantsMax = 1000
    private static let prefix = "pgmosaic"

    /// Throws when the names are too long to leave room for a participant's position.
    package init(cluster: String, router: String, start: UInt64, number: UInt64, decider: ShardID) throws(GlobalTransactionIDError) {
        self.cluster = cluster
        self.router = router
        self.start = start
        self.number = number
        self.decider = decider
        guard !cluster.isEmpty, !router.isEmpty, !decider.name.isEmpty else { throw .emptyName }
        guard key.utf8.count + ":999".utf8.count <= Self.bytesMax else { throw .tooLong(bytes: key.utf8.count) }
    }

    /// Under which the decision is recorded.
    package var key: String {
        [
            Self.prefix, Self.escape(cluster), Self.escape(router), String(start, radix: 16) + "-" + String(number, radix: 16),
            Self.escape(decider.name),
        ].joined(separator: ":")
    }

    /// The name that the participant at `position` (0 ..< `participantsMax`) prepares under.
    package func name(of position: Int) -> String { "\(key):\(position)" }

    /// What every name of a cluster begins with.
    package static func prefix(ofCluster cluster: String) -> String { "\(prefix):\(escape(cluster)):" }
}

package enum GlobalTransactionIDError: Error, Hashable, Sendable {
    case emptyName
    /// The names of cluster, router and shard together leave no room; `bytes` without the participant's position.
    case tooLong(bytes: Int)
}

/// One participant's prepared transaction, as its name says.
package struct PreparedName: Hashable, Sendable {
    package let transaction: GlobalTransactionID
    package let position: Int

    package var text: String { transaction.name(of: position) }

    /// nil for everything that `text` would not have written exactly so: other people's prepared transactions are not ours to end.
    package init?(_ text: String) {
        guard text.utf8.count <= GlobalTransactionID.bytesMax, let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let transaction = GlobalTransactionID(key: String(text[..<colon])), let position = Int(text[text.index(after: colon)...]),
            (0..<GlobalTransactionID.participantsMax).contains(position)
        else { return nil }
        self.transaction = transaction
        self.position = position
        guard self.text.utf8.elementsEqual(text.utf8) else { return nil }
    }
}

extension GlobalTransactionID {
    /// Reads `key` back; nil for everything that it would not have written exactly so.
    package init?(key: String) {
        guard key.utf8.count <= Self.bytesMax else { return nil }
        let parts = key.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == Self.prefix else { return nil }
        let numbers = parts[3].split(separator: "-", omittingEmptySubsequences: false)
        guard numbers.count == 2, let start = UInt64(numbers[0], radix: 16), let number = UInt64(numbers[1], radix: 16),
            let cluster = Self.unescape(parts[1]), let router = Self.unescape(parts[2]), let decider = Self.unescape(parts[4]),
            let id = try? GlobalTransactionID(cluster: cluster, router: router, start: start, number: number, decider: ShardID(decider))
        else { return nil }
        guard id.key.utf8.elementsEqual(key.utf8) else { return nil }
        self = id
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }

    private static func escape(_ name: String) -> String {
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            if isPlain(byte) {
                bytes.append(byte)
            } else {
                let digits = Array("0123456789abcdef".utf8)
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func unescape(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard rest.count >= 2, let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else if isPlain(byte) {
                bytes.append(byte)
            } else {
                return nil
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
