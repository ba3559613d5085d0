public import Foundation
internal import PGTypes
internal import ShardModel

/// A value of a database's shard keys: it decides the shard. `.key("app", 42)`.
///
/// It is hashed by its canonical bytes, as routers do: an integer of any width in decimal, a uuid in lower case, a text as it is. A text that stands
/// for an integer or a uuid hashes as one when it is written canonically (`"42"`, not `"042"`).
public struct MosaicKey: Sendable, Hashable {
    public let database: String
    /// The canonical text, and the rule that it is hashed by.
    let text: String
    let kind: Kind

    enum Kind: Sendable, Hashable { case integer, uuid, text }

    public static func key(_ database: String, _ value: some BinaryInteger) -> MosaicKey {
        MosaicKey(database: database, text: String(value), kind: .integer)
    }

    public static func key(_ database: String, _ value: String) -> MosaicKey { MosaicKey(database: database, text: value, kind: .text) }

    public static func key(_ database: String, _ value: UUID) -> MosaicKey {
        MosaicKey(database: database, text: value.uuidString.lowercased(), kind: .uuid)
    }

    /// Throws: an integer that no bigint holds.
    func token() throws(MosaicError) -> Token {
        let type: KeyType =
            switch kind {
            case .integer: .integer
            case .uuid: .uuid
            case .text: .text
            }
        do throws(KeyError) {
            return try type.token(text: Array(text.utf8).span.bytes)
        } catch {
            throw MosaicError(.invalidKey, "the key is no 64-bit integer")
        }
    }
}

extension MosaicKey: CustomStringConvertible {
    /// Without the value: descriptions end in logs.
    public var description: String { "a key of \(database)" }
}
