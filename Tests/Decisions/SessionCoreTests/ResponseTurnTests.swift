import NIOCore
import SessionCore
import TestKit
import Testing

/// One script for several backends: the client sees the answers in its own order, whichever backend is quick.
@Suite struct ResponseTurnTests {
    private enum Step: CaseIterable {
        /// Two messages of the backend.
        case executed
        /// One that the client does not see.
        case swallowed
        /// The router's own.
        case emitted
    }

    /// What a session does with the script: keeps what a backend says before its turn.
    private struct Listener {
        var script = ResponseScript()
        var speaker = 0
        var heard = 0
        var kept: [[UInt8]]
        var seen: [Character] = []
        /// Answers of each lane, in order; what each shows is a letter of its own.
        var answers: [[(kind: UInt8, shown: Character)]]
        private var shown: [[Character]]
        var expected: [Character] = []

        init(lanes: Int) {
            (kept, answers, shown) = (Array(repeating: [], count: lanes), Array(repeating: [], count: lanes), Array(repeating: [], count: lanes))
        }

        mutating func send(_ step: Step, to lane: Int, _ letter: Character) {
            switch step {
            case .executed:
                turn(to: lane)
                script.expect(.execute)
                for kind in "DC" {
                    answers[lane].append((kind.asciiValue!, letter))
                    expected.append(letter)
                }
            case .swallowed:
                turn(to: lane)
                script.swallow(.parse)
                answers[lane].append((UInt8(ascii: "1"), letter))
            case .emitted:
                expected.append(letter)
                if script.isEmpty { seen.append(letter) } else { script.emit(ByteBuffer(string: String(letter)), as: .bind) }
            }
        }

        mutating func sync(_ lane: Int, isLast: Bool) {
            turn(to: lane)
            if isLast { script.expect(.sync) } else { script.swallow(.sync) }
            answers[lane].append((UInt8(ascii: "Z"), "Z"))
            if isLast { expected.append("Z") }
        }

        private mutating func turn(to lane: Int) {
            guard lane != speaker else { return }
            speaker = lane
            if script.isEmpty { heard = lane } else { script.turn(to: lane) }
        }

        /// The backend's next answer arrives.
        mutating func arrives(from lane: Int) {
            let answer = answers[lane].removeFirst()
            kept[lane].append(answer.kind)
            shown[lane].append(answer.shown)
            if lane == heard { hear() }
        }

        private mutating func hear() {
            emitDue()
            while true {
                while !script.isAtTurn, !kept[heard].isEmpty {
                    let kind = kept[heard].removeFirst(), letter = shown[heard].removeFirst()
                    if kind == UInt8(ascii: "Z"), !script.isReadyDue { return seen.append("!") }
                    if script.received(kind) == .forward { seen.append(letter) }
                    emitDue()
                }
                guard let lane = script.takeTurn() else { return }
                heard = lane
                emitDue()
            }
        }

        private mutating func emitDue() {
            while let due = script.takeDueEmission() { seen.append(Character(String(buffer: due))) }
        }

        var complaint: String? {
            if seen != expected { return "the client sees \(String(seen)) for \(String(expected))" }
            return script.isEmpty && script.readiesOutstanding == 0 && !script.hasDueEmission && script.owingLanes(heard: heard).isEmpty ? nil : "something is left"
        }
    }

    private static func listener(_ steps: [(Step, Int)], lanes: Int) -> Listener {
        var listener = Listener(lanes: lanes)
        for (number, step) in steps.enumerated() { listener.send(step.0, to: step.1, Character(UnicodeScalar(UInt8(97 + number % 26)))) }
        for lane in 0..<lanes { listener.sync(lane, isLast: lane == lanes - 1) }
        return listener
    }

    @Test func everyOrderInWhichBackendsAnswerShowsTheClientTheSame() {
        var (runs, failure) = (0, nil as String?)
        func deliver(_ listener: Listener, _ steps: [(Step, Int)]) {
            let lanes = listener.answers.indices.filter { !listener.answers[$0].isEmpty }
            guard failure == nil, !lanes.isEmpty else {
                runs += 1
                if failure == nil, let complaint = listener.complaint { failure = "\(complaint): \(steps)" }
                return
            }
            for lane in lanes {
                var next = listener
                next.arrives(from: lane)
                deliver(next, steps)
            }
        }
        func extend(_ steps: [(Step, Int)]) {
            deliver(Self.listener(steps, lanes: 2), steps)
            guard steps.count < 4 else { return }
            for step in Step.allCases { for lane in 0..<2 where step != .emitted || lane == 0 { extend(steps + [(step, lane)]) } }
        }
        extend([])
        #expect(failure == nil)
        #expect(runs > 10_000)
    }

    @Test func longPipelinesOverManyBackendsKeepTheirOrder() {
        withSeed { random in
            for _ in 0..<500 {
                let lanes = Int.random(in: 1...6, using: &random)
                let steps = (0..<Int.random(in: 0...60, using: &random)).map { _ in (Step.allCases.randomElement(using: &random)!, Int.random(in: 0..<lanes, using: &random)) }
                var listener = Self.listener(steps, lanes: lanes)
                while let lane = listener.answers.indices.filter({ !listener.answers[$0].isEmpty }).randomElement(using: &random) { listener.arrives(from: lane) }
                #expect(listener.complaint == nil)
            }
        }
    }

    @Test func whoStillOwesAnswersIsKnown() {
        var script = ResponseScript()
        script.expect(.bind)
        script.turn(to: 2)
        script.emit(ByteBuffer(string: "e"), as: .parse)
        script.turn(to: 1)
        script.expect(.execute)
        // Number 2 has only been turned to.
        #expect(script.owingLanes(heard: 0) == [0, 1])
        #expect(script.received(UInt8(ascii: "2")) == .forward)
        #expect(script.isAtTurn && script.hasDueEmission && script.takeDueEmission() == nil)
        #expect(script.takeTurn() == 2 && script.takeTurn() == nil)
        #expect(script.takeDueEmission() != nil && script.takeTurn() == 1)
        #expect(script.owingLanes(heard: 1) == [1])
    }

    /// A server that says so too early would end another one's answers with its own.
    @Test func aReadyForQueryOutOfTurnIsNotDue() {
        var script = ResponseScript()
        script.expect(.execute)
        script.swallow(.sync)
        #expect(script.isReadyDue)
        script.turn(to: 1)
        script.expect(.sync)
        #expect(!script.isReadyDue)
        _ = script.received(UInt8(ascii: "C"))
        #expect(script.isReadyDue)
        #expect(script.received(UInt8(ascii: "Z")) == .drop)
        #expect(!script.isReadyDue && script.takeTurn() == 1 && script.isReadyDue)
    }

    @Test func whatIsSkippedLeavesNoTurn() {
        var script = ResponseScript()
        script.expect(.bind)
        script.turn(to: 1)
        script.emit(ByteBuffer(string: "e"), as: .parse)
        script.expect(.parse)
        script.turn(to: 0)
        script.expect(.sync)
        script.skipAll()
        #expect(script.isEmpty && !script.isAtTurn && !script.hasDueEmission && script.readiesOutstanding == 0)
        #expect(script.takeSkippedDefinitions() == 2 && script.takeSkippedBinds() == 1)
        script.expect(.execute)
        script.turn(to: 3)
        script.expect(.sync)
        _ = script.received(UInt8(ascii: "C"))
        #expect(script.takeTurn() == 3)
    }
}
