import SQLSyntax
import Testing

@Suite struct StatementTraceTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func found(_ text: String) -> String? { Array(text.utf8).withUnsafeBytes { StatementTrace.parent(in: $0) } }

    @Test(arguments: [
        "SELECT 1 /*traceparent='\(parent)'*/", "SELECT 1 /*traceparent='\(parent)'*/;", "/*traceparent='\(parent)'*/ SELECT 1", "/*traceparent='\(parent)'*/",
        "SELECT 1 /*action='%2Fshow',db_driver='x',traceparent='\(parent)',tracestate='a%3D1'*/ ;\n", "SELECT 1 /* traceparent='\(parent)' */",
        "/* pgmosaic: shard_key=42 */ SELECT 1 /*traceparent='\(parent)'*/", "/*traceparent='\(parent)'*/ SELECT 1 /* pgmosaic: shard_key=42 */",
        "SELECT '*/' /*traceparent='\(parent)'*/", "SELECT /* x */ 1 /*traceparent='\(parent)'*/",
    ])
    func theLastOrFirstCommentNamesIt(_ text: String) { #expect(found(text) == Self.parent) }

    @Test(arguments: [
        "", " ", ";", "/", "*/", "/*", "/*/", "/**/", "SELECT 1", "SELECT 'traceparent=''\(parent)'''", "SELECT 1 /* x */", "SELECT 1 /*atraceparent='\(parent)'*/",
        "SELECT 1 /*traceparent='\(parent)*/", "SELECT 1 /*traceparent='*/", "SELECT 1 /*traceparent=\(parent)*/", "SELECT /*traceparent='\(parent)'*/ 1",
        "SELECT 1 /*traceparent='" + String(repeating: "0", count: 129) + "'*/",
    ])
    func noOtherPlaceDoes(_ text: String) { #expect(found(text) == nil) }

    @Test(arguments: ["SELECT 1", "SELECT 1;", "SELECT 1 -- one", "", "SELECT '/*'", "SELECT 1 /* x */"])
    func aCommentCanBePutBehind(_ text: String) {
        let commented = StatementTrace.commented(text, parent: Self.parent)
        #expect(commented == "\(text)\n/*traceparent='\(Self.parent)'*/" && found(commented) == Self.parent)
        #expect(StatementTrace.commented(commented, parent: "00-another") == commented)
    }

    @Test func aTextThatIsCutAnywhereIsRead() {
        let text = Array("/*traceparent='\(Self.parent)'*/ SELECT 1 /*traceparent='\(Self.parent)'*/ ; ".utf8)
        for length in 0...text.count {
            let cut = text.prefix(length).withUnsafeBytes { StatementTrace.parent(in: $0) }
            #expect(cut == nil || cut == Self.parent)
        }
    }
}
