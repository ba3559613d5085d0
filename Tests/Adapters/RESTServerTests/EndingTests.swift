import ControlAPI
import RESTServer
import RESTTestKit
import Synchronization
import Testing

/// A server that ends while callers are there.
@Suite struct EndingTests {
    /// What a caller may hear: an answer, or, of a connection that came too late, nothing at all.
    private static func isAnswered(by server: RESTTestServer) async -> Bool {
        do {
            return try await server.get("/things").status == 200
        } catch {
            #expect("\(error)".contains("cannot connect") || "\(error)".contains("no answer, 0 bytes"), "\(error)")
            return false
        }
    }

    @Test func connectionsThatComeAtItsEndAreAnsweredOrClosed() async throws {
        let answers = Counter()
        for round in 0..<40 {
            try await RESTTestServer.ending(Things().responder) { server, end in
                try await withThrowingTaskGroup(of: Bool.self) { group in
                    for _ in 0..<48 { group.addTask { await Self.isAnswered(by: server) } }
                    try await Task.sleep(for: .microseconds(200 * round))
                    await end()
                    for try await isAnswered in group where isAnswered { answers.add() }
                }
            }
        }
        #expect(answers.count > 0)
    }

    @Test func whoseRequestIsUnderWayIsAnswered() async throws {
        let (begun, freed) = (Counter(), Counter())
        let things = Things {
            begun.add()
            while freed.count == 0 { try? await Task.sleep(for: .milliseconds(5)) }
        }
        try await RESTTestServer.ending(things.responder) { server, end in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 { group.addTask { try await server.post("/things", ["a": 1]).status } }
                while begun.count < 8 { try await Task.sleep(for: .milliseconds(5)) }
                await end()
                freed.add()
                for try await status in group { #expect(status == 201) }
            }
        }
    }

    private final class Counter: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock(\.self) }
        func add() { number.withLock { $0 += 1 } }
    }
}
