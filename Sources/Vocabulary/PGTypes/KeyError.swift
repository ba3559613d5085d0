/// Why a value is not a key of its type, and so chooses no shard.
package enum KeyError: Error, Hashable, Sendable {
    /// NULL is not a key.
    case null
    /// Not what the type's input function takes (PostgreSQL's 22P02, or 22P03 for a binary form).
    case malformed
    /// An integer beyond int8 (PostgreSQL's 22003).
    case outOfRange
    /// A parameter that is declared with a type whose equality is not the key's, or whose form is not known here.
    case unsupportedType(UInt32)
    /// An array of several dimensions.
    case manyDimensions
}
