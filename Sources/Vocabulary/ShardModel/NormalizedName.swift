// The standard library's own normalization: what `==` compares by. Its interface is not public; a Foundation of another Unicode version would not fit it.
@_spi(_Unicode) internal import Swift

extension StringProtocol {
    /// Whether the text is in Unicode's normalization form C.
    ///
    /// PostgreSQL compares names by their bytes. Swift takes texts that Unicode calls equivalent for equal ("é" in one code point, and as "e" with a
    /// combining accent). Of texts in this form only those of the same bytes are: so names outside of it are let in nowhere
    /// (docs/decisions/0091-names-in-one-form.md).
    ///
    /// Cost: a look at each byte; beyond ASCII, about 50 ns a character.
    package var isNormalized: Bool {
        utf8.allSatisfy { $0 < 0x80 } || unicodeScalars.elementsEqual(String(self)._nfc)
    }

    /// With ASCII letters in lower case, and all others as they are: how PostgreSQL folds names in UTF8 databases, and those of settings.
    package var lowercasedASCII: String {
        guard utf8.contains(where: { (0x41...0x5a).contains($0) }) else { return String(self) }
        return String(String.UnicodeScalarView(unicodeScalars.map { ("A"..."Z").contains($0) ? Unicode.Scalar(UInt8($0.value) + 0x20) : $0 }))
    }

    /// Whether both are the same bytes, which `==` does not ask.
    package func isExactly(_ other: some StringProtocol) -> Bool { utf8.elementsEqual(other.utf8) }
}
