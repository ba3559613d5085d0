import ControlAPI
import Testing

@Suite struct ErrorShapeTests {
    @Test func codesAreUniqueUpperSnakeAndExplained() {
        let codes = APIErrorCode.allCases.map(\.rawValue)
        #expect(Set(codes).count == codes.count)
        for code in APIErrorCode.allCases {
            #expect(code.rawValue.utf8.allSatisfy { (65...90).contains($0) || $0 == 95 || (48...57).contains($0) }, "\(code)")
            #expect(code.meaning.hasSuffix("."), "\(code)")
            #expect([400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 501, 503, 504].contains(code.status), "\(code)")
        }
        #expect(Set(APIErrorCode.allCases.map(\.meaning)).count == codes.count)
    }

    @Test func anErrorIsReadBackFromItsBody() throws {
        let error = APIError(.versionConflict, "stale", sqlstate: "40001", details: ["current": ["version": 3]])
        let body = error.body(requestID: "r1")
        #expect(body["error"]?["request_id"]?.stringValue == "r1")
        #expect(APIError(body: body) == error)
    }

    @Test func whatMayPassSaysWhenToComeAgain() {
        for code in APIErrorCode.allCases { #expect((APIError(code, "").retryAfter != nil) == [429, 503].contains(code.status), "\(code)") }
    }

    @Test func aCodeOfANewerServerIsKeptInTheMessage() throws {
        let error = try #require(APIError(body: ["error": ["code": "NEW_THING", "message": "m"]]))
        #expect(error.code == .internalError && error.message == "NEW_THING: m")
        #expect(APIError(body: ["oops": 1]) == nil)
    }
}
