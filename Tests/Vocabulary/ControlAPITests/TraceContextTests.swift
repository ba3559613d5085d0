import ControlAPI
import Testing

/// The cases are those of the W3C's own tests for implementations (https://github.com/w3c/trace-context/tree/main/test), as far as they concern a server.
@Suite struct TraceContextTests {
    private static let trace = "12345678901234567890123456789012"
    private static let span = "1234567890123456"
    private static let good = "00-\(trace)-\(span)-01"

    private func context(_ parents: [String], _ states: [String] = []) -> TraceContext { TraceContext(parents: parents, states: states) }

    @Test func theCallersTraceGoesOnWithAStepOfItsOwn() throws {
        let context = context([Self.good], ["foo=1", "bar=2"])
        #expect(context.traceID == Self.trace && context.spanID != Self.span && context.isSampled && context.state == "foo=1,bar=2")
        #expect(context.parent == "00-\(Self.trace)-\(context.spanID)-01")
        let next = try #require(TraceContext(parent: context.parent))
        #expect(next.traceID == context.traceID && next.spanID == context.spanID && next.isSampled)
    }

    @Test func whereNoneComesThereIsANewTrace() {
        let (first, second) = (context([]), context([]))
        #expect(first.traceID != second.traceID && first.spanID != second.spanID && !first.isSampled)
        #expect(TraceContext(parent: first.parent) != nil)
        // However unlucky: an id of zeros is none.
        let zero = TraceContext(parents: [], states: []) { 0 }
        #expect(zero.parent == "00-00000000000000000000000000000001-0000000000000001-00")
        let full = TraceContext(parents: [], states: []) { 0x0123_4567_89AB_CDEF }
        #expect(full.parent == "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00")
    }

    @Test(arguments: [
        "", "00", "00-", "00-\(trace)", "00-\(trace)-\(span)", "00-\(trace)-\(span)-", "00-\(trace)-\(span)-1", "00-\(trace)-\(span)-0x", "00-\(trace)-\(span)-01-",
        "00-\(trace)-\(span)-01-what", "00-\(trace)-\(span)-011", "ff-\(trace)-\(span)-01", "FF-\(trace)-\(span)-01", "0-\(trace)-\(span)-01", "000-\(trace)-\(span)-01",
        "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01", "00-A2345678901234567890123456789012-\(span)-01",
        "00-\(trace)-A234567890123456-01", "00-.2345678901234567890123456789012-\(span)-01", "00-\(trace.dropLast())-\(span)-01", "00-\(trace)0-\(span)-01",
        "00_\(trace)_\(span)_01", "00-\(trace)-\(span)-01 ", " 00-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01.what", "00-\(trace)-\(span)-01,00-\(trace)-\(span)-01",
    ])
    func aMalformedParentBeginsANewTraceAndItsStateIsNotPassedOn(_ parent: String) {
        let context = context([parent], ["foo=1"])
        #expect(context.traceID != Self.trace && context.state == nil && !context.isSampled)
        #expect(TraceContext(parent: parent) == nil)
    }

    @Test func twoParentsAreNone() { #expect(context([Self.good, Self.good]).traceID != Self.trace) }

    @Test(arguments: ["cc-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01-what-the-future-will-be-like", "01-\(trace)-\(span)-ff"])
    func ofALaterVersionTheKnownPartCounts(_ parent: String) {
        let context = context([parent])
        #expect(context.traceID == Self.trace && context.parent == "00-\(Self.trace)-\(context.spanID)-01")
    }

    @Test func flagsThatAreNotKnownAreNotPassedOn() {
        #expect(context(["00-\(Self.trace)-\(Self.span)-fe"]).parent.hasSuffix("-00"))
        #expect(context(["00-\(Self.trace)-\(Self.span)-ff"]).parent.hasSuffix("-01"))
    }

    @Test func aStateOutOfBoundsIsNotPassedOnAndTheTraceIs() {
        let members = { (count: Int) in (0..<count).map { "k\($0)=1" }.joined(separator: ",") }
        #expect(context([Self.good], [members(32)]).state == members(32))
        for state in [members(33), "k=" + String(repeating: "x", count: 511), "k=\u{1}", "k=é", "", "nothing"] {
            let context = context([Self.good], [state])
            #expect(context.state == nil && context.traceID == Self.trace)
        }
        #expect(context([Self.good], ["k=" + String(repeating: "x", count: 510)]).state?.utf8.count == 512)
    }
}
