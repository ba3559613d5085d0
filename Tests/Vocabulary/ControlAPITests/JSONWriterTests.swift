import ControlAPI
import Testing

@Suite struct JSONWriterTests {
    @Test func everyControlCharacterIsEscaped() throws {
        let text = String(String.UnicodeScalarView((0..<0x20).map { Unicode.Scalar($0) } + ["\u{7F}", "\u{85}", "\"", "\\", "\u{2028}", "\u{2029}"]))
        let written = JSONValue.string(text).encoded()
        #expect(written.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect(try JSONParser.parse(written) == .string(text))
    }

    @Test func textThatNeedsNothingIsCopied() {
        #expect(JSONValue.string("a/é日😀").text == "\"a/é日😀\"")
    }

    @Test func lookalikesOfTheLineSeparatorsAreLeftAlone() {
        #expect(JSONValue.string("\u{84}\u{2027}\u{202A}\u{20A8}").text == "\"\u{84}\u{2027}\u{202A}\u{20A8}\"")
    }

    @Test func jsonOfAnyLayoutFitsOneLine() throws {
        for text in ["{\n\"a\":\r\n[1,\t2]\n}", "\"\u{85}\u{2028}\u{2029}\"", "[]", "\n1\n", "\"é日😀\u{84}\""] {
            var writer = JSONWriter()
            Array(text.utf8).withUnsafeBytes { writer.rawOnOneLine($0) }
            #expect(!String(decoding: writer.bytes, as: UTF8.self).contains { $0.isNewline })
            #expect(try JSONParser.parse(writer.bytes) == JSONParser.parse(Array(text.utf8)))
        }
    }

    @Test func aDurationHasThreeDecimals() {
        #expect(JSONValue.milliseconds(1.5).text == "1.500")
        #expect(JSONValue.milliseconds(0.0004).text == "0.000")
        #expect(JSONValue.milliseconds(12.3456).text == "12.346")
    }
}
