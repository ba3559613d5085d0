package import ShardModel

// Canonical bytes: integers of any width in shortest decimal, uuid in lower case with hyphens, text as it is.

extension KeyType {
    /// The token of a key in the syntax that the type's input function takes (PostgreSQL 15): a literal's content, a text parameter, a field of
    /// COPY, a JSON string.
    ///
    /// The range of int2 and int4 is the server's to check. Allocates nothing.
    package func token(text: RawSpan) throws(KeyError) -> Token {
        switch self {
        case .integer: try IntegerText.token(text)
        case .uuid: try UUIDText.token(text)
        case .text: Token(hashing: text)
        }
    }
}
