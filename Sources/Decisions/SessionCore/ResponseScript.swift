package import NIOCore

/// What the client must see of one backend's answers, in order.
///
/// For each message sent to the backend there is one step; its answer completes the step and is forwarded or swallowed. Answers that the router
/// gives itself stand between them (`emit`), so that the client sees one answer per message in the order in which it asked (PostgreSQL
/// documentation, "Extended Query", 55.2.3). After an error the backend skips to Sync, and so does the script.
///
/// While every step is a plain forwarded one (`isPlain`), the handler may forward whole bursts without asking.
package struct ResponseScript {
    package enum Expectation: UInt8, Hashable, Sendable {
        case parse, bind, close, describeStatement, describePortal, execute
        /// A simple query, all of its answers up to and including ReadyForQuery.
        case query
        /// Sync: ReadyForQuery.
        case sync
    }

    package enum Verdict: Hashable, Sendable {
        case forward
        case drop
        /// A prelude of the router's own (BEGIN, SET) failed: its error belongs to the statement behind it.
        case preludeFailed
    }

    private struct Step {
        var expectation: Expectation
        var isSwallowed: Bool
        /// Bytes for the client instead of an answer of the backend.
        var emission: ByteBuffer?
        var statement: UInt32
    }

    private var steps: [Step] = []
    private var head = 0
    private var special = 0
    /// ReadyForQuery messages still to come, swallowed ones included.
    package private(set) var readiesOutstanding = 0

    package init() {}

    package var isEmpty: Bool { head == steps.count }
    /// Everything outstanding is forwarded as it comes.
    package var isPlain: Bool { special == 0 }

    package mutating func expect(_ expectation: Expectation) {
        append(Step(expectation: expectation, isSwallowed: false, emission: nil, statement: 0))
    }

    /// `statement` names the prepared statement that a swallowed Parse makes, for `confirmedStatement`.
    package mutating func swallow(_ expectation: Expectation, statement: UInt32 = 0) {
        special += 1
        append(Step(expectation: expectation, isSwallowed: true, emission: nil, statement: statement))
    }

    /// An answer of the router's own at this place. The caller writes it at once when the script is empty.
    package mutating func emit(_ bytes: ByteBuffer) {
        special += 1
        append(Step(expectation: .execute, isSwallowed: false, emission: bytes, statement: 0))
    }

    private mutating func append(_ step: Step) {
        if head == steps.count, head > 0 {
            steps.removeAll(keepingCapacity: true)
            head = 0
        }
        if step.emission == nil, step.expectation == .query || step.expectation == .sync { readiesOutstanding += 1 }
        steps.append(step)
    }

    /// Router answers that are due now, before the next answer of the backend.
    package mutating func takeDueEmission() -> ByteBuffer? {
        guard head < steps.count, let bytes = steps[head].emission else { return nil }
        pop()
        return bytes
    }

    /// The backend sent a message of this kind.
    package mutating func received(_ kind: UInt8) -> Verdict {
        switch kind {
        case UInt8(ascii: "N"), UInt8(ascii: "S"), UInt8(ascii: "A"):
            return .forward
        case UInt8(ascii: "Z"):
            return receivedReady()
        case UInt8(ascii: "E"):
            let wasPrelude = head < steps.count && steps[head].isSwallowed && steps[head].expectation == .query
            skipToReady()
            return wasPrelude ? .preludeFailed : .forward
        default:
            break
        }
        guard head < steps.count else { return .forward }
        let step = steps[head]
        if Self.completes(kind, step.expectation) { pop() }
        return step.isSwallowed ? .drop : .forward
    }

    /// All ended: ReadyForQuery of a plain script was seen by the handler's fast path.
    package mutating func completePlain() {
        steps.removeAll(keepingCapacity: true)
        head = 0
        readiesOutstanding = 0
    }

    package mutating func reset() {
        completePlain()
        special = 0
    }

    private mutating func receivedReady() -> Verdict {
        skipToReady()
        guard head < steps.count else { return .forward }
        let isSwallowed = steps[head].isSwallowed
        pop()
        return isSwallowed ? .drop : .forward
    }

    private mutating func skipToReady() {
        while head < steps.count {
            let step = steps[head]
            if step.emission == nil, step.expectation == .query || step.expectation == .sync { return }
            pop()
        }
    }

    private mutating func pop() {
        let step = steps[head]
        if step.isSwallowed || step.emission != nil { special -= 1 }
        if step.emission == nil, step.expectation == .query || step.expectation == .sync { readiesOutstanding -= 1 }
        steps[head].emission = nil
        head += 1
        if head == steps.count {
            steps.removeAll(keepingCapacity: true)
            head = 0
        }
    }

    private static func completes(_ kind: UInt8, _ expectation: Expectation) -> Bool {
        switch expectation {
        case .parse: kind == UInt8(ascii: "1")
        case .bind: kind == UInt8(ascii: "2")
        case .close: kind == UInt8(ascii: "3")
        case .describeStatement, .describePortal: kind == UInt8(ascii: "T") || kind == UInt8(ascii: "n")
        case .execute: kind == UInt8(ascii: "C") || kind == UInt8(ascii: "I") || kind == UInt8(ascii: "s")
        case .query, .sync: false
        }
    }
}
