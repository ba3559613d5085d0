@testable import RESTServer
import Synchronization
import Testing

@Suite struct RequestLimitTests {
    final class Clock: Sendable {
        let time = Mutex(0.0)
        var now: Double { time.withLock { $0 } }
        func pass(_ seconds: Double) { time.withLock { $0 += seconds } }
    }

    private func count(_ limit: RequestLimit, _ name: String, of tries: Int) -> Int {
        (0..<tries).count { _ in (try? limit.take(name)) != nil }
    }

    @Test func aSecondsRequestsMayComeAtOnceAndThenAsManyASecond() throws {
        let clock = Clock()
        let limit = try #require(RequestLimit(perSecond: 10) { clock.now })
        #expect(count(limit, "a", of: 100) == 10)
        #expect(count(limit, "b", of: 100) == 10)
        clock.pass(0.55)
        #expect(count(limit, "a", of: 100) == 5)
        clock.pass(3600)
        #expect(count(limit, "a", of: 100) == 10)
        #expect(RequestLimit(perSecond: 0) == nil)
    }

    @Test func manyNamesTakeABoundedMemoryAndShareWhatIsLeft() throws {
        let clock = Clock()
        let limit = try #require(RequestLimit(perSecond: 10) { clock.now })
        for number in 0..<(RequestLimit.bucketsMax * 2) { try? limit.take("\(number)") }
        #expect(limit.count == RequestLimit.bucketsMax)
        // Those beyond it had ten together.
        #expect(count(limit, "one more", of: 100) == 0)
        // Who is known has its own.
        #expect(count(limit, "5", of: 100) == 9)
        clock.pass(10)
        #expect(count(limit, "one more", of: 100) == 10)
        #expect(limit.count < RequestLimit.bucketsMax)
    }
}
