/// The name of a shard, unique in the cluster, chosen by the operator ("shard-1").
package struct ShardID: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let name: String
    package init(_ name: String) { self.name = name }
    package static func < (a: ShardID, b: ShardID) -> Bool { a.name < b.name }
    package var description: String { name }
    package init(from decoder: any Decoder) throws {
        name = try decoder.singleValueContainer().decode(String.self)
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}

/// A shard's dense position in one database's `Topology`; valid only together with that value's epoch.
///
/// The hot path indexes arrays by it instead of hashing `ShardID` strings.
package struct ShardIndex: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: Int
    package init(_ value: Int) { self.value = value }
    package static func < (a: ShardIndex, b: ShardIndex) -> Bool { a.value < b.value }
    package var description: String { "#\(value)" }
}

/// The catalog's version: grows by one with every committed change; 0 is the empty catalog.
package struct Epoch: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static let zero = Epoch(0)
    package var next: Epoch { Epoch(number + 1) }
    package static func < (a: Epoch, b: Epoch) -> Bool { a.number < b.number }
    package var description: String { String(number) }
    package init(from decoder: any Decoder) throws {
        number = try decoder.singleValueContainer().decode(UInt64.self)
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(number)
    }
}

/// A position on the ring: the first 64 bits (h1) of Murmur3 x64 128, seed 0, of a key's canonical bytes.
package struct Token: Hashable, Comparable, Sendable, CustomStringConvertible {
    @usableFromInline package let value: UInt64
    @inlinable package init(_ value: UInt64) { self.value = value }
    @inlinable package static func < (a: Token, b: Token) -> Bool { a.value < b.value }
    package var description: String { String(value) }
}
