import SQLSyntax
import Testing

@Suite struct FirstWordTests {
    @Test(arguments: [
        ("START TRANSACTION", true), ("start transaction", true), (" \n/* a /* nested */ b */ -- c\n Start Transaction", true), ("BEGIN", false),
        ("STARTS", false), ("\"start\"", false), ("", false), ("/* open", false), ("'start'", false),
    ])
    func isFoundBehindBlanksAndComments(text: String, isStart: Bool) {
        #expect(Array(text.utf8).withUnsafeBytes { FirstWord.isFirst("start", in: $0) } == isStart)
    }
}
