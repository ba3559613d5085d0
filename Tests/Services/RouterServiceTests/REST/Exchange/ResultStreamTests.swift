import ControlAPI
import NIOCore
import NIOPosix
import Testing

@testable import RouterService

/// The pieces that a caller gets, in whatever order things arrive.
@Suite struct ResultStreamTests {
    /// A stream, the lines that wait, and what the caller got.
    private final class Caller {
        let stream = ResultStream()
        var lines: [UInt8] = []
        var text = ""
        var kind: ResultPiece.Kind?
        var error: APIError?
        private let loop = MultiThreadedEventLoopGroup.singleton.any()

        /// Whether a piece was given.
        func take() throws -> Bool {
            let promise = loop.makePromise(of: ResultPiece.self)
            stream.take(promise)
            deliver()
            return try settle(promise)
        }

        var waiting: EventLoopPromise<ResultPiece>?
        func settle(_ promise: EventLoopPromise<ResultPiece>) throws -> Bool {
            guard stream.isOver || given else {
                waiting = promise
                return false
            }
            do {
                let piece = try promise.futureResult.wait()
                text += String(decoding: piece.bytes, as: UTF8.self)
                kind = piece.kind
            } catch let failure as APIError {
                error = failure
            }
            given = false
            waiting = nil
            return true
        }

        private var given = false
        func deliver() {
            stream.deliver {
                given = true
                defer { lines = [] }
                if lines.isEmpty { given = hasLine }
                return lines
            }
        }
        /// A line of the stream's own makes a piece of nothing.
        var hasLine = false
    }

    private let error = APIError(.sqlFailed, "no")

    @Test func aFailureBeforeTheFirstRowIsAllThereIs() throws {
        let caller = Caller()
        caller.stream.fail(error)
        #expect(try caller.take())
        #expect(caller.error == error)
        #expect(caller.stream.isOver)
    }

    @Test func nothingGoesOutBeforeTheFirstLine() throws {
        let caller = Caller()
        caller.stream.headIsAsked()
        caller.lines = Array("r1\n".utf8)
        #expect(try !caller.take())
        // Not even a failure: a row has been there.
        caller.stream.fail(error)
        caller.deliver()
        #expect(!caller.stream.isOver)
        caller.stream.headIsKnown(Array("head\n".utf8))
        caller.deliver()
        #expect(try caller.settle(try #require(caller.waiting)))
        #expect(caller.text == "head\nr1\n")
        #expect(caller.kind == .lines)
        #expect(try caller.take())
        #expect(caller.error == error)
        #expect(caller.stream.isOver)
    }

    @Test func aSmallResultIsOnePiece() throws {
        let caller = Caller()
        caller.stream.headIsKnown(Array("head\n".utf8))
        caller.lines = Array("r1\n".utf8)
        caller.stream.complete(Array("end\n".utf8))
        #expect(try caller.take())
        #expect(caller.text == "head\nr1\nend\n")
        #expect(caller.kind == .lastLines)
    }

    @Test func theLastLineComesOnceAndLast() throws {
        let caller = Caller()
        caller.stream.headIsKnown(Array("head\n".utf8))
        caller.hasLine = true
        #expect(try caller.take())
        caller.hasLine = false
        #expect(try !caller.take())
        caller.stream.complete(Array("end\n".utf8))
        caller.stream.fail(error)
        caller.deliver()
        #expect(try caller.settle(try #require(caller.waiting)))
        #expect(caller.text == "head\nend\n")
        #expect(caller.kind == .lastLines)
        #expect(caller.error == nil)
    }

    @Test func anAnswerInOneIsNoStream() throws {
        let caller = Caller()
        caller.stream.answer(Array("{}".utf8))
        #expect(try caller.take())
        #expect(caller.kind == .whole)
        #expect(caller.text == "{}")
    }

    @Test func whoWaitsWhenAStreamIsDroppedIsTold() throws {
        let caller = Caller()
        #expect(try !caller.take())
        caller.stream.drop()
        #expect(try caller.settle(try #require(caller.waiting)))
        #expect(caller.error == .abandoned)
    }
}
