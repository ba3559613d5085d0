import NIOCore
import SessionCore
import Testing

/// A message of a batch, as the router handled it.
struct ScriptedMessage: Hashable {
    enum Handling: Hashable { case passed, swallowed, marked, answeredByRouter, provoked }
    let kind: ResponseScript.Expectation
    let handling: Handling
    /// Whether the backend answers it with an error.
    let fails: Bool

    /// A Parse of the client's, or its Close of a statement, which is always answered by the router: a portal's is passed on.
    var isDefinition: Bool {
        switch kind {
        case .parse: handling != .swallowed && handling != .provoked
        case .close: handling == .answeredByRouter
        default: false
        }
    }
}

/// PostgreSQL as far as the order of its answers goes, and what a client that talked to it alone would see.
///
/// Answers are single characters: those of the protocol, lower-case letters for the router's own, `r` for a replaced error.
struct BackendModel {
    private(set) var seenByClient: [Character] = []
    /// What the backend sends, in order.
    private(set) var sent: [UInt8] = []
    private(set) var skippedDefinitions = 0
    private var isSkipping = false

    mutating func handle(_ message: ScriptedMessage) {
        let isReal = message.handling != .answeredByRouter
        if isSkipping, !(message.kind == .sync && isReal) {
            if message.isDefinition { skippedDefinitions += 1 }
            return
        }
        guard isReal else { return seenByClient.append("e") }
        let isSwallowed = message.handling == .swallowed
        if message.fails || message.handling == .provoked {
            sent.append(UInt8(ascii: "E"))
            seenByClient.append(message.handling == .provoked ? "r" : "E")
            if message.kind == .query { return ready(isSwallowed) }
            if message.isDefinition { skippedDefinitions += 1 }
            isSkipping = true
            return
        }
        for kind in Self.answers(message.kind) {
            sent.append(UInt8(ascii: kind))
            if !isSwallowed { seenByClient.append(message.handling == .marked && kind == "C" ? "c" : Character(kind)) }
        }
        if message.kind == .query || message.kind == .sync { ready(isSwallowed) }
    }

    private mutating func ready(_ isSwallowed: Bool) {
        isSkipping = false
        sent.append(UInt8(ascii: "Z"))
        if !isSwallowed { seenByClient.append("Z") }
    }

    private static func answers(_ kind: ResponseScript.Expectation) -> [Unicode.Scalar] {
        switch kind {
        case .parse: ["1"]
        case .bind: ["2"]
        case .close: ["3"]
        case .describeStatement: ["t", "T"]
        case .describePortal: ["n"]
        case .execute: ["D", "C"]
        case .query: ["T", "D", "C", "C"]
        case .sync: []
        }
    }
}

@Suite struct ResponseScriptTests {
    private static let alphabet: [ScriptedMessage] = {
        var result: [ScriptedMessage] = []
        for kind in [ResponseScript.Expectation.parse, .bind, .describeStatement, .describePortal, .close, .execute] {
            result.append(ScriptedMessage(kind: kind, handling: .passed, fails: false))
        }
        for kind in [ResponseScript.Expectation.parse, .execute, .query] {
            result.append(ScriptedMessage(kind: kind, handling: .passed, fails: true))
            result.append(ScriptedMessage(kind: kind, handling: .swallowed, fails: false))
        }
        return result + [
            ScriptedMessage(kind: .query, handling: .passed, fails: false),
            ScriptedMessage(kind: .execute, handling: .marked, fails: false),
            ScriptedMessage(kind: .parse, handling: .answeredByRouter, fails: false),
            ScriptedMessage(kind: .execute, handling: .answeredByRouter, fails: false),
            ScriptedMessage(kind: .parse, handling: .provoked, fails: true),
            ScriptedMessage(kind: .sync, handling: .passed, fails: false),
            ScriptedMessage(kind: .sync, handling: .swallowed, fails: false),
        ]
    }()

    @Test func whatTheSessionLooksAtIsNotTheClients() {
        var script = ResponseScript()
        script.expect(.parse)
        script.capture(.describeStatement)
        script.expect(.sync)
        #expect(script.received(UInt8(ascii: "1")) == .forward)
        #expect(script.received(UInt8(ascii: "t")) == .capture)
        #expect(script.received(UInt8(ascii: "T")) == .capture)
        #expect(script.received(UInt8(ascii: "Z")) == .forward && script.isEmpty && !script.hasDueEmission)
        // An error skips it like every other step.
        script.capture(.describeStatement)
        script.expect(.sync)
        #expect(script.received(UInt8(ascii: "E")) == .forward && script.count == 1)
    }

    @Test func theClientSeesOneAnswerAMessageInOrderForEveryShortSequence() {
        let end = ScriptedMessage(kind: .sync, handling: .passed, fails: false)
        var failures = 0
        func extend(_ messages: [ScriptedMessage]) {
            if failures == 0, let complaint = Self.play(messages + [end]) {
                failures += 1
                Issue.record("\(complaint): \(messages)")
            }
            guard messages.count < 4 else { return }
            for next in Self.alphabet { extend(messages + [next]) }
        }
        extend([])
    }

    /// All messages are under way before the first answer.
    private static func play(_ messages: [ScriptedMessage]) -> String? {
        var (script, model) = (ResponseScript(), BackendModel())
        for message in messages {
            model.handle(message)
            switch message.handling {
            case .passed: script.expect(message.kind)
            case .swallowed: script.swallow(message.kind)
            case .marked: script.expectMarked(message.kind)
            case .answeredByRouter: script.emit(ByteBuffer(string: "e"), as: message.kind)
            case .provoked: script.provokeError(ByteBuffer(string: "r"))
            }
        }
        var seen: [Character] = []
        func emitDue() {
            while let due = script.takeDueEmission() { seen.append(Character(String(buffer: due))) }
        }
        emitDue()
        for kind in model.sent {
            switch script.received(kind) {
            case .forward: seen.append(Character(Unicode.Scalar(kind)))
            case .drop, .capture: break
            case .forwardMarked: seen.append("c")
            case .replace: seen.append(script.takeReplacement().map { Character(String(buffer: $0)) } ?? "?")
            }
            emitDue()
        }
        if seen != model.seenByClient { return "the client sees \(String(seen)) for \(String(model.seenByClient))" }
        if !script.isEmpty || script.readiesOutstanding != 0 || script.hasDueEmission { return "something is left" }
        let skipped = script.takeSkippedDefinitions()
        return skipped == model.skippedDefinitions ? nil : "\(skipped) skipped definitions for \(model.skippedDefinitions)"
    }

    @Test func aSwallowedStepHidesNoticesButNothingThatIsNoAnswer() {
        var script = ResponseScript()
        script.swallow(.sync)
        #expect(script.received(UInt8(ascii: "N")) == .drop)
        // The client's own SET, reported before a ReadyForQuery that it does not see.
        #expect(script.received(UInt8(ascii: "S")) == .forward)
        #expect(script.received(UInt8(ascii: "A")) == .forward)
        #expect(script.received(UInt8(ascii: "Z")) == .drop)
        #expect(script.received(UInt8(ascii: "N")) == .forward)
    }

    /// A Bind that fails may have made its portal; those behind it have not, and nothing but a Bind makes one.
    @Test(arguments: [true, false])
    func aFailedBindThatLeavesItsPortalIsNotSkipped(leavesPortal: Bool) {
        var script = ResponseScript()
        script.expect(.parse)
        script.expect(.bind)
        script.expect(.bind)
        script.expect(.sync)
        #expect(!script.isAtBind)
        #expect(script.received(UInt8(ascii: "1")) == .forward)
        #expect(script.isAtBind)
        #expect(script.failed(leavesPortal: leavesPortal) == .forward)
        #expect(script.takeSkippedBinds() == (leavesPortal ? 1 : 2))
        #expect(script.received(UInt8(ascii: "Z")) == .forward && script.isEmpty)
        // The error is a Parse's.
        script.expect(.parse)
        script.expect(.bind)
        script.expect(.sync)
        #expect(script.failed(leavesPortal: leavesPortal) == .forward)
        #expect(script.takeSkippedBinds() == 1)
    }

    /// The router's own error for a Bind, behind what the backend is still at.
    @Test func aProvokedErrorLeavesAPortalUnlessSomethingBeforeItFails() {
        for failsBefore in [false, true] {
            var script = ResponseScript()
            script.expect(.execute)
            script.provokeError(ByteBuffer(string: "r"), leavesPortal: true)
            script.expect(.sync)
            if failsBefore {
                #expect(script.received(UInt8(ascii: "E")) == .forward)
            } else {
                #expect(script.received(UInt8(ascii: "C")) == .forward)
                #expect(script.received(UInt8(ascii: "E")) == .replace)
                #expect(script.takeReplacement() == ByteBuffer(string: "r"))
            }
            #expect(script.takeSkippedBinds() == (failsBefore ? 1 : 0))
            #expect(script.received(UInt8(ascii: "Z")) == .forward && script.isEmpty && !script.hasDueEmission)
        }
    }

    @Test func copyInTakesBackTheSyncThatIsUnderWay() {
        var script = ResponseScript()
        script.expect(.execute)
        script.swallow(.sync)
        script.copyInStarted()
        #expect(script.readiesOutstanding == 0)
        #expect(script.received(UInt8(ascii: "C")) == .forward)
        #expect(script.isEmpty)
        script.expect(.sync)
        #expect(script.received(UInt8(ascii: "Z")) == .forward)
        #expect(script.isEmpty)
    }

    @Test func answersNobodyWaitsForArePassedOnAndResetForgetsAll() {
        var script = ResponseScript()
        #expect(script.received(UInt8(ascii: "E")) == .forward)
        #expect(script.received(UInt8(ascii: "Z")) == .forward)
        #expect(script.received(UInt8(ascii: "C")) == .forward)
        script.expect(.query)
        script.emit(ByteBuffer(string: "e"), as: .close)
        script.reset()
        #expect(script.isEmpty && script.readiesOutstanding == 0 && script.takeDueEmission() == nil)
    }
}
