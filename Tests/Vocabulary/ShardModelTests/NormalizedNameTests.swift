import ShardModel
import Testing

@Suite struct NormalizedNameTests {
    @Test(arguments: [
        ("", true), ("plain_1", true), ("é", true), ("e\u{301}", false), ("日本", true), ("\u{AC01}", true), ("\u{AC00}\u{11A8}", false),
        // Characters that stand for others of one code point, and one that has no form of its own.
        ("\u{212B}", false), ("\u{212A}", false), ("\u{37E}", false), ("\u{958}", false), ("\u{915}\u{93C}", true),
        // Marks in another order; and one behind what does not combine.
        ("a\u{323}\u{307}", false), ("a\u{307}\u{323}", false), ("\u{1EA1}\u{307}", true), ("\"\u{301}", true),
    ])
    func aNameIsInTheFormOrNot(_ name: String, _ isNormalized: Bool) {
        #expect(name.isNormalized == isNormalized, "\(name.unicodeScalars.map { $0.value })")
        #expect("x\(name)".dropFirst().isNormalized == isNormalized || name.isEmpty)
    }

    /// What the rule is for: of names in the form, `==` takes only those of the same bytes for equal.
    @Test func namesInTheFormAreEqualWhereTheirBytesAre() {
        var seen: [String: [UInt8]] = [:]
        for value in UInt32(0xA0)...0x3_1350 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            for text in [String(scalar), "a\(scalar)", "e\(scalar)\u{323}"] where text.isNormalized {
                let bytes = Array(text.utf8)
                #expect(seen[text, default: bytes] == bytes)
                seen[text] = bytes
            }
        }
        #expect(seen.count > 300_000)
    }

    @Test func onlyASCIILettersAreFolded() {
        #expect("ÀBC_é.İ".lowercasedASCII == "Àbc_é.İ" && "É".lowercased() == "é")
        #expect(!"é".isExactly("e\u{301}") && "é" == "e\u{301}" && "é".isExactly("xé".dropFirst()))
    }

    @Test func theCatalogTakesNoSuchName() throws {
        let odd = "cafe\u{301}", plain = "café"
        let catalog = try CatalogSnapshot(clusterID: "c").applying(CatalogChange([.putDatabase(DatabaseRecord(name: plain))], author: "test"))
        let table = { (name: String, key: String) in
            CatalogChange.Operation.putTable(TableRecord(database: plain, name: QualifiedName(schema: "public", name: name), placement: .sharded(key: key)))
        }
        let refused: [CatalogChange.Operation] = [
            .putDatabase(DatabaseRecord(name: odd)), table(odd, "k"), table("t", odd), .putDatabase(DatabaseRecord(name: "d", keyColumnRules: [odd])),
        ]
        for operation in refused {
            #expect { try catalog.applying(CatalogChange([operation], author: "test")) } throws: { error in
                if case .misspelledName? = error as? CatalogChangeError { true } else { false }
            }
        }
        _ = try catalog.applying(CatalogChange([table(plain, "clé")], author: "test"))
    }
}
