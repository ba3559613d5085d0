import ControlAPI
import RESTServer
import RESTTestKit
import Synchronization
import Testing

@Suite struct IdempotencyTests {
    @Test func aRepeatedRequestDoesNothingAndHearsTheSame() async throws {
        let things = Things()
        try await things.serve { server in
            let key = [("Idempotency-Key", "k1")]
            let first = try await server.post("/things", ["a": 1], headers: key)
            let second = try await server.post("/things", ["a": 1], headers: key)
            #expect(first.status == 201 && second.status == 201 && first.body == second.body)
            #expect(things.calls.withLock { $0 } == 1)
            // Without a key, or with another, it is another request.
            _ = try await server.post("/things", ["a": 1])
            _ = try await server.post("/things", ["a": 1], headers: [("Idempotency-Key", "k2")])
            #expect(things.calls.withLock { $0 } == 3)
        }
    }

    @Test func aKeyStandsForOneRequestOnly() async throws {
        try await Things().serve { server in
            let key = [("Idempotency-Key", "k")]
            _ = try await server.post("/things", ["a": 1], headers: key)
            #expect(try await server.post("/things", ["a": 2], headers: key).error?.code == .idempotencyMismatch)
            #expect(try await server.delete("/things/1", headers: key).error?.code == .idempotencyMismatch)
        }
    }

    @Test func whileTheFirstRunsTheSecondIsToldToWait() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let (entered, enter) = AsyncStream.makeStream(of: Void.self)
        let things = Things {
            enter.yield()
            for await _ in gate { break }
        }
        try await things.serve { server in
            let key = [("Idempotency-Key", "k")]
            async let first = server.post("/things", [:], headers: key)
            for await _ in entered { break }
            let second = try await server.post("/things", [:], headers: key)
            #expect(second.error?.code == .requestInProgress && second.headers["retry-after"] == "1")
            open.yield()
            #expect(try await first.status == 201)
        }
    }

    @Test func aFailureOfTheServerIsNotKept() async throws {
        let things = Things()
        try await things.serve { server in
            for _ in 0..<2 {
                let answer = try await server.post("/failing", [:], headers: [("Idempotency-Key", "k")])
                #expect(answer.status == 500)
            }
        }
        #expect(things.calls.withLock { $0 } == 2)
    }

    @Test(arguments: ["", String(repeating: "k", count: 256)])
    func aKeyOfAnImpossibleLengthIsRefused(_ key: String) async throws {
        try await Things().serve { server in
            let answer = try await server.post("/things", [:], headers: [("Idempotency-Key", key)])
            #expect(answer.error?.code == .invalidRequest)
        }
    }

    @Test func readsIgnoreTheKey() async throws {
        try await Things().serve { server in
            for query in ["q=1", "q=2"] {
                let answer = try await server.get("/things?\(query)", headers: [("Idempotency-Key", "k")])
                #expect(answer.status == 200)
            }
        }
    }
}

@Suite struct IdempotencyCacheTests {
    private func run(_ cache: IdempotencyCache, _ key: String, bytes: Int = 0) async throws -> Bool {
        let ran = Mutex(false)
        _ = try await cache.answer(key: key, method: "POST", path: "/", body: []) {
            ran.withLock { $0 = true }
            return RESTAnswer(status: 201, body: Array(repeating: 0, count: bytes))
        }
        return ran.withLock { $0 }
    }

    @Test func theOldestAnswerGoesWhenItIsFull() async throws {
        let cache = IdempotencyCache(capacity: 3)
        for key in ["a", "b", "c"] { #expect(try await run(cache, key)) }
        #expect(try await !run(cache, "a"))
        #expect(try await run(cache, "d"))
        for key in ["b", "c", "d"] { #expect(try await !run(cache, key)) }
        #expect(try await run(cache, "a"))
    }

    @Test func theOldestAnswersGoWhenAllTogetherAreTooLong() async throws {
        let cache = IdempotencyCache()
        let fitting = IdempotencyCache.bytesMax >> 20
        for number in 0...fitting { #expect(try await run(cache, "\(number)", bytes: 1 << 20)) }
        #expect(try await !run(cache, "1"))
        #expect(try await run(cache, "0", bytes: 1 << 20))
        // One answer that is too long by itself is not kept.
        #expect(try await run(cache, "long", bytes: (1 << 20) + 1))
        #expect(try await run(cache, "long"))
    }

    @Test func anAnswerIsForgottenAfterADay() async throws {
        let start = ContinuousClock.now
        let passed = Mutex(Duration.zero)
        let cache = IdempotencyCache { start + passed.withLock { $0 } }
        #expect(try await run(cache, "a"))
        passed.withLock { $0 = .seconds(24 * 3600 - 1) }
        #expect(try await !run(cache, "a"))
        passed.withLock { $0 = .seconds(24 * 3600 + 1) }
        #expect(try await run(cache, "a"))
    }
}
