import ControlAPI
import Testing

@Suite struct JSONWriterTests {
    @Test func everyControlCharacterIsEscaped() throws {
        let text = String(String.UnicodeScalarView((0..<0x20).map { Unicode.Scalar($0) } + ["\u{7F}", "\"", "\\", "\u{2028}", "\u{2029}"]))
        let written = JSONValue.string(text).encoded()
        #expect(written.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect(try JSONParser.parse(written) == .string(text))
    }

    @Test func textThatNeedsNothingIsCopied() {
        #expect(JSONValue.string("a/é日😀").text == "\"a/é日😀\"")
    }

    @Test func lookalikesOfTheLineSeparatorsAreLeftAlone() {
        #expect(JSONValue.string("\u{2027}\u{202A}\u{20A8}").text == "\"\u{2027}\u{202A}\u{20A8}\"")
    }

    @Test func aDurationHasThreeDecimals() {
        #expect(JSONValue.milliseconds(1.5).text == "1.500")
        #expect(JSONValue.milliseconds(0.0004).text == "0.000")
        #expect(JSONValue.milliseconds(12.3456).text == "12.346")
    }
}
