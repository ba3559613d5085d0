import ControlAPI
import Testing

@testable import RouterService

@Suite struct ParameterTextTests {
    private func text(_ json: String, typeOID: UInt32 = 0) throws -> String? {
        ParameterText.text(try JSONParser.parse(json), typeOID: typeOID)
    }

    @Test(arguments: [
        ("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"), ("1.10", "1.10"), ("0.1", "0.1"), ("1e400", "1e400"),
        ("123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"), ("-0", "-0"),
    ])
    func numbersKeepEveryDigitThatWasSent(_ json: String, _ expected: String) throws {
        #expect(try text(json) == expected)
    }

    @Test func scalarsAreTheTextThatInputFunctionsTake() throws {
        #expect(try text("null") == nil)
        #expect(try text("true") == "true")
        #expect(try text("false") == "false")
        #expect(try text(#""it's \"quoted\"""#) == #"it's "quoted""#)
        #expect(try text(#"{"b": [1, null], "a": 1.50}"#) == #"{"b":[1,null],"a":1.50}"#)
    }

    @Test(arguments: [
        ("[]", "{}"), ("[1,2,null]", "{1,2,NULL}"), ("[[1,2],[3,4]]", "{{1,2},{3,4}}"), ("[true,1.50]", "{true,1.50}"),
        (#"["a","","NULL","b c","x,y","{z}"]"#, #"{"a","","NULL","b c","x,y","{z}"}"#),
        (#"["quote\" and \\ back"]"#, #"{"quote\" and \\ back"}"#), (#"[{"k":"v"}]"#, #"{"{\"k\":\"v\"}"}"#),
    ])
    func arraysBecomeArrayLiterals(_ json: String, _ expected: String) throws {
        #expect(try text(json) == expected)
    }

    @Test(arguments: [114, 3802] as [UInt32])
    func arraysForJSONParametersStayJSON(_ oid: UInt32) throws {
        #expect(try text(#"[1,"a",[null]]"#, typeOID: oid) == #"[1,"a",[null]]"#)
    }

    @Test func onlyArraysNeedToKnowTheirType() throws {
        for json in ["null", "1", "1.5", "true", #""a""#, #"{"a":[1]}"#] {
            #expect(!ParameterText.dependsOnType(try JSONParser.parse(json)))
        }
        #expect(ParameterText.dependsOnType(.array([])))
    }
}
