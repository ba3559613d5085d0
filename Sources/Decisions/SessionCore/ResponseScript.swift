package import NIOCore

/// What the client must see of its backends' answers, in order.
///
/// For each message sent to the backend there is one step; its answer completes the step and is forwarded or dropped. Answers that
/// the router gives itself stand between them (`emit`), so that the client sees one answer per message in the order in which it asked
/// (PostgreSQL documentation, 55.2.3 "Extended Query"). After an error the backend skips to Sync, and so does the script.
///
/// Several backends may work for one pipeline at the same time. The script is then one for all of them, in the client's order, and `turn(to:)` stands where
/// the answers of another backend follow; who feeds it with messages keeps what the others say until it is their turn.
@usableFromInline package struct ResponseScript {
    package enum Expectation: UInt8, Hashable, Sendable {
        case parse, bind, close, describeStatement, describePortal, execute
        /// A simple query: all of its answers up to and including ReadyForQuery.
        case query
        /// Sync: ReadyForQuery.
        case sync
    }

    package enum Verdict: Hashable, Sendable {
        case forward
        case drop
        /// Forward it; it is the CommandComplete, or PortalSuspended, of a step that was marked.
        case forwardMarked
        /// It belongs to a step that the session itself looks at, and the client does not see it.
        case capture
        /// The error that `provokeError` asked for: the client gets `takeReplacement()` instead.
        case replace
    }

    /// An expectation in the low bits and flags above: one byte, so that a script costs no reference counting.
    @usableFromInline struct Step {
        static let swallowed: UInt8 = 0x10
        @usableFromInline static var emission: UInt8 { 0x20 }
        static let marked: UInt8 = 0x40
        static let provoked: UInt8 = 0x80
        /// No answer: from here on another backend's answers are due. Of an emission's kind, so that nothing more is asked where there is neither.
        @usableFromInline static var turn: UInt8 { 0x60 }
        @usableFromInline var bits: UInt8
        var expectation: Expectation { Expectation(rawValue: bits & 0x0F)! }
        @inlinable var isEmission: Bool { bits & Self.emission != 0 }
        @inlinable var isTurn: Bool { bits & Self.turn == Self.turn }
        var isSwallowed: Bool { bits & Self.swallowed != 0 }
        var isMarked: Bool { bits & Self.marked != 0 }
        var isProvoked: Bool { bits & Self.provoked != 0 }
        /// A Parse of the client's, or its Close of a statement, which the router answers: a portal's goes to the backend.
        var isDefinition: Bool {
            expectation == .parse && !isSwallowed && !isProvoked || expectation == .close && isEmission
        }
        var endsWithReady: Bool { !isEmission && bits & 0x0F >= Expectation.query.rawValue }
    }

    @usableFromInline var steps: [Step] = []
    @usableFromInline var head = 0
    /// Steps that need more than forwarding.
    @usableFromInline var special = 0
    /// The router's own answers, in the order of their steps.
    private var emissions: [ByteBuffer] = []
    /// To whom the turns are that have not come, from `turnsHead` on.
    @usableFromInline var turns: [Int] = []
    @usableFromInline var turnsHead = 0
    /// ReadyForQuery messages still to come, dropped ones included.
    @usableFromInline package private(set) var readiesOutstanding = 0
    /// Messages of the client that define a statement or forget one, and that an error made the backend skip, since `takeSkippedDefinitions`.
    private var skippedDefinitions = 0
    /// Binds of the client's that have made no portal because of an error, their own or one before them, since `takeSkippedBinds`.
    private var skippedBinds = 0

    private var replacement: ByteBuffer?

    package init() {}

    @inlinable package var isEmpty: Bool { head == steps.count }
    /// Answers that are still to come, the router's own among them.
    @inlinable package var count: Int { steps.count - head }

    /// A ReadyForQuery for the client is among them.
    package var owesReady: Bool { steps[head...].contains { $0.endsWithReady && !$0.isSwallowed } }

    package mutating func expect(_ expectation: Expectation) {
        append(expectation.rawValue)
    }

    /// Like `expect`; its CommandComplete is reported as `.forwardMarked`.
    package mutating func expectMarked(_ expectation: Expectation) {
        special += 1
        append(expectation.rawValue | Step.marked)
    }

    package mutating func swallow(_ expectation: Expectation) {
        special += 1
        append(expectation.rawValue | Step.swallowed)
    }

    /// Like `swallow`; what comes is reported as `.capture`.
    package mutating func capture(_ expectation: Expectation) {
        special += 1
        append(expectation.rawValue | Step.swallowed | Step.marked)
    }

    /// An answer of the router's own at this place, to a message of the kind `expectation`. With an empty script the caller writes
    /// it at once instead.
    package mutating func emit(_ bytes: ByteBuffer, as expectation: Expectation) {
        special += 1
        emissions.append(bytes)
        append(expectation.rawValue | Step.emission)
    }

    /// A message that the backend is sure to refuse was sent, so that it undoes an implicit transaction; the client sees `error` instead of
    /// the backend's own, unless something before it fails first.
    ///
    /// - leavesPortal: it answers a Bind whose portal the session keeps.
    package mutating func provokeError(_ error: ByteBuffer, leavesPortal: Bool = false) {
        special += 1
        emissions.append(error)
        append((leavesPortal ? Expectation.bind : .parse).rawValue | Step.provoked)
    }

    /// What is expected from here on comes from backend number `lane`.
    package mutating func turn(to lane: Int) {
        special += 1
        turns.append(lane)
        append(Expectation.describePortal.rawValue | Step.turn)
    }

    /// The answers that were due have come: another backend's are due.
    @inlinable package var isAtTurn: Bool { special > 0 && head < steps.count && steps[head].isTurn }

    /// Whose turn it is now; nil: it stays with whom it was.
    package mutating func takeTurn() -> Int? {
        guard isAtTurn else { return nil }
        let lane = turns[turnsHead]
        pop()
        return lane
    }

    /// The backends of which answers are still to come.
    ///
    /// - heard: whose turn it is.
    package func owingLanes(heard: Int) -> Set<Int> {
        var (lane, owing, next) = (heard, Set<Int>(), turnsHead)
        for step in steps[head...] {
            if step.isTurn {
                lane = turns[next]
                next += 1
            } else if !step.isEmission {
                owing.insert(lane)
            }
        }
        return owing
    }

    /// Whether a ReadyForQuery may come now. While there are turns it is no other than the next step's, or it would answer for another backend, too.
    @inlinable package var isReadyDue: Bool { readiesOutstanding > 0 && (turnsHead == turns.count || isReadyNext) }
    @usableFromInline var isReadyNext: Bool { steps[head].endsWithReady }

    private mutating func append(_ bits: UInt8) {
        let step = Step(bits: bits)
        if step.endsWithReady { readiesOutstanding += 1 }
        steps.append(step)
    }

    /// Or a turn is due.
    @inlinable package var hasDueEmission: Bool { special > 0 && head < steps.count && steps[head].isEmission }

    /// Router answers that are due now, before the next answer of the backend.
    package mutating func takeDueEmission() -> ByteBuffer? {
        guard head < steps.count, steps[head].isEmission, !steps[head].isTurn else { return nil }
        let bytes = emissions.removeFirst()
        pop()
        return bytes
    }

    /// The backend sent a message of this kind.
    package mutating func received(_ kind: UInt8) -> Verdict {
        switch kind {
        case UInt8(ascii: "N"):
            return head < steps.count && steps[head].isSwallowed ? .drop : .forward
        case UInt8(ascii: "S"), UInt8(ascii: "A"):
            // Not an answer to the step: what the client's own SET changed is reported before the next ReadyForQuery, whose ever that is.
            return .forward
        case UInt8(ascii: "Z"):
            skipToReady()
            guard head < steps.count else { return .forward }
            let isSwallowed = steps[head].isSwallowed
            pop()
            return isSwallowed ? .drop : .forward
        case UInt8(ascii: "E"): return failed(leavesPortal: false)
        default:
            guard head < steps.count else { return .forward }
            let step = steps[head]
            let completes = Self.completes(kind, step.expectation)
            if completes { pop() }
            if step.isSwallowed { return step.isMarked ? .capture : .drop }
            // Where the client limits the rows, PortalSuspended ends a SELECT of one row that has done what it does.
            return step.isMarked && (kind == UInt8(ascii: "C") || kind == UInt8(ascii: "s")) ? .forwardMarked : .forward
        }
    }

    /// The error that comes answers a Bind of the client's.
    package var isAtBind: Bool { head < steps.count && steps[head].bits == Expectation.bind.rawValue }

    /// The backend sent an error.
    ///
    /// - leavesPortal: where it answers a Bind, the portal is there all the same, so that the Bind is not among those that were skipped.
    package mutating func failed(leavesPortal: Bool) -> Verdict {
        guard head < steps.count else { return .forward }
        if steps[head].isProvoked {
            replacement = emissions[0]
            if steps[head].expectation == .bind {
                emissions.removeFirst()
                pop()
            }
            skipToSync()
            return .replace
        }
        // A simple query's error ends that query only.
        if steps[head].endsWithReady { return .forward }
        if leavesPortal, isAtBind { pop() }
        skipToSync()
        return .forward
    }

    package mutating func takeReplacement() -> ByteBuffer? {
        defer { replacement = nil }
        return replacement
    }

    package mutating func takeSkippedDefinitions() -> Int {
        defer { skippedDefinitions = 0 }
        return skippedDefinitions
    }

    package mutating func takeSkippedBinds() -> Int {
        defer { skippedBinds = 0 }
        return skippedBinds
    }

    /// COPY FROM STDIN began: PostgreSQL ignores the Sync that is already under way (55.2.6 "COPY Operations").
    package mutating func copyInStarted() {
        guard let sync = steps[head...].firstIndex(where: { $0.endsWithReady && $0.expectation == .sync }) else { return }
        if steps[sync].isSwallowed { special -= 1 }
        steps.remove(at: sync)
        readiesOutstanding -= 1
    }

    /// Nothing that is still to come will.
    package mutating func skipAll() {
        while head < steps.count { skip() }
    }

    /// Forgets everything: the backend is gone.
    package mutating func reset() {
        self = ResponseScript()
    }

    private mutating func skipToReady() {
        while head < steps.count, !steps[head].endsWithReady { skip() }
    }

    /// After an error in the extended protocol everything is ignored until Sync, simple queries included.
    private mutating func skipToSync() {
        while head < steps.count, !(steps[head].endsWithReady && steps[head].expectation == .sync) { skip() }
    }

    private mutating func skip() {
        let step = steps[head]
        if step.isEmission && !step.isTurn || step.isProvoked { emissions.removeFirst() }
        if step.isDefinition { skippedDefinitions += 1 }
        if step.expectation == .bind, !step.isSwallowed { skippedBinds += 1 }
        pop()
    }

    private mutating func pop() {
        let step = steps[head]
        if step.bits > 0x0F { special -= 1 }
        if step.endsWithReady { readiesOutstanding -= 1 }
        if step.isTurn { turnsHead += 1 }
        head += 1
        if head == steps.count {
            steps.removeAll(keepingCapacity: true)
            head = 0
            if turnsHead > 0 {
                turns.removeAll(keepingCapacity: true)
                turnsHead = 0
            }
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
