package import ShardModel

extension KeyType {
    /// The tokens of the elements of an array parameter, in their order, NULL elements left out: `key = ANY($1)` never matches these.
    ///
    /// `oid` is the array type that the client declared; 0 and 705 leave it to the place. One dimension only.
    /// Memory: a token for each element that is really there; a count in the message that promises more is refused before anything is reserved.
    package func tokens(array value: RawSpan, isBinary: Bool, oid: UInt32) throws(KeyError) -> [Token] {
        let element = KeyOID.element(ofArray: oid)
        guard KeyOID.isUndeclared(oid) || element.flatMap(KeyType.init(typeOID:)) == self else { throw .unsupportedType(oid) }
        if isBinary { return try tokens(binaryArray: value, element: element) }
        return try ArrayText.tokens(value, self)
    }

    /// array_send's form: dimensions, flags, element type, then length and lower bound of each dimension, then the elements.
    private func tokens(binaryArray value: RawSpan, element: UInt32?) throws(KeyError) -> [Token] {
        guard value.byteCount >= 12 else { throw .malformed }
        let dimensions = value.bigEndian(at: 0, as: Int32.self)
        let flags = value.bigEndian(at: 4, as: Int32.self)
        let type = value.bigEndian(at: 8, as: UInt32.self)
        guard dimensions >= 0, flags == 0 || flags == 1 else { throw .malformed }
        guard KeyType(typeOID: type) == self, element == nil || element == type else { throw .unsupportedType(type) }
        if dimensions == 0 {
            guard value.byteCount == 12 else { throw .malformed }
            return []
        }
        guard dimensions == 1 else { throw .manyDimensions }
        guard value.byteCount >= 20 else { throw .malformed }
        let count = Int(value.bigEndian(at: 12, as: Int32.self))
        // Each element takes at least the four bytes of its length.
        guard count >= 0, count <= (value.byteCount - 20) / 4 else { throw .malformed }
        return try elements(value, from: 20, count: count, oid: type)
    }

    private func elements(_ value: RawSpan, from start: Int, count: Int, oid: UInt32) throws(KeyError) -> [Token] {
        var tokens: [Token] = []
        tokens.reserveCapacity(count)
        var position = start
        for _ in 0..<count {
            guard value.byteCount - position >= 4 else { throw .malformed }
            let length = Int(value.bigEndian(at: position, as: Int32.self))
            position += 4
            if length == -1 { continue }
            guard length >= 0, length <= value.byteCount - position else { throw .malformed }
            tokens.append(try token(binary: value.extracting(position..<(position + length)), oid: oid))
            position += length
        }
        guard position == value.byteCount else { throw .malformed }
        return tokens
    }
}
