import ControlAPI
import Testing

@Suite struct JSONParserTests {
    private func reason(_ text: String) -> JSONError.Reason? {
        do {
            _ = try JSONParser.parse(text)
            return nil
        } catch { return error.reason }
    }

    @Test(arguments: [Int64.min, -9_007_199_254_740_993, -1, 0, 1, 9_007_199_254_740_993, Int64.max])
    func anIntegerOf64BitsStaysExactInBothDirections(_ number: Int64) throws {
        let value = try JSONParser.parse(" \(number) ")
        #expect(value == .integer(number))
        #expect(value.text == String(number))
    }

    @Test(arguments: ["9223372036854775808", "18446744073709551615", "-9223372036854775809", "1.50", "1e400", "-0", "0.1e-7", "1E+2", "123456789012345678901234567890"])
    func anyOtherNumberKeepsItsOwnText(_ text: String) throws {
        #expect(try JSONParser.parse(text) == .number(text))
        #expect(try JSONParser.parse(text).text == text)
    }

    @Test(arguments: ["01", "-", "-a", "+1", ".5", "1.", "1.e3", "1e", "1e+", "--1", "0x10", "1_000", "Infinity", "NaN", "-Infinity", "00", "-01"])
    func whatIsNoNumberIsRefused(_ text: String) {
        #expect(reason(text) != nil)
    }

    @Test func nestingIsRefusedBelow64LevelsAndNeverOverflowsTheStack() throws {
        let levels = JSONParser.depthMax
        _ = try JSONParser.parse(String(repeating: "[", count: levels) + String(repeating: "]", count: levels))
        #expect(reason(String(repeating: "[", count: levels + 1)) == .tooDeep)
        #expect(reason(String(repeating: "[", count: 5_000_000)) == .tooDeep)
        #expect(reason(String(repeating: "{\"a\":", count: 1_000_000)) == .tooDeep)
        // Beside each other is not within each other.
        _ = try JSONParser.parse("[" + Array(repeating: "[[]]", count: 1000).joined(separator: ",") + "]")
    }

    @Test func aRepeatedNameIsRefusedHoweverItIsWritten() {
        #expect(reason(#"{"a":1,"a":1}"#) == .duplicateName)
        #expect(reason(#"{"a":1,"\u0061":2}"#) == .duplicateName)
        #expect(reason(#"{"x":{"a":1},"a":{"a":2}}"#) == nil)
    }

    @Test func escapesAndSurrogatePairsBecomeTheirCharacters() throws {
        #expect(try JSONParser.parse(#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#) == .string("\"\\/\u{8}\u{C}\n\r\té😀"))
        #expect(try JSONParser.parse("\"日本語\"") == .string("日本語"))
        #expect(try JSONParser.parse(#""\u0000""#) == .string("\0"))
    }

    @Test func halvesOfSurrogatePairsAndBadEscapesAreRefused() {
        for text in [#""\ud83d""#, #""\ud83dx""#, #""\ud83d\n""#, #""\ud83d\u0041""#, #""\ude00""#] { #expect(reason(text) == .loneSurrogate, "\(text)") }
        for text in [#""\x""#, #""\u12g4""#, "\"a\nb\"", "\"\u{1}\""] { #expect(reason(text) == .invalidString, "\(text)") }
    }

    @Test func bytesThatAreNotUTF8AreRefused() {
        for bytes: [UInt8] in [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80]] {
            #expect(throws: JSONError.self, "\(bytes)") { try JSONParser.parse([0x22] + bytes + [0x22]) }
        }
    }

    @Test(arguments: ["", " ", "[", "[1", "[1,", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "\"", "tru", "nul", "\"\\", "\"\\u12"])
    func aTextThatEndsTooEarlySaysSo(_ text: String) {
        #expect(reason(text) == .unexpectedEnd)
    }

    @Test(arguments: ["1 2", "{} {}", "[],", "null x", "\"a\"b", "\u{FEFF}1", "[1,]", "{\"a\":1,}", "{a:1}", "{'a':1}", "[1 2]", "{\"a\" 1}", "True", "/*c*/1", "[,1]"])
    func whatJSONDoesNotAllowIsRefused(_ text: String) {
        #expect(reason(text) != nil)
    }

    @Test func anErrorSaysWhereAndQuotesNothing() throws {
        let error = try #require(throws: JSONError.self) { try JSONParser.parse(#"{"password":"hunter2",}"#) }
        #expect(error.offset == 22)
        #expect(!String(describing: error).contains("hunter2"))
    }

    @Test func membersKeepTheirOrder() throws {
        let text = #"{"z":1,"a":[true,false,null],"m":{"y":"","b":-0.0}}"#
        #expect(try JSONParser.parse(text).text == text)
    }
}
