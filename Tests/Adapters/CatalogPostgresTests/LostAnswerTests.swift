@testable import CatalogPostgres
import CatalogStore
import Foundation
import PostgresProcess
import ShardModel
import TestKit
import Testing

/// What a writer is told of a commit whose request or answer is lost on the way.
@Suite(.catalogServer) struct LostAnswerTests {
    private static let words = "moved AS"

    private func change(_ number: Int) -> CatalogChange { CatalogChange([.setSetting(name: "n", value: String(number))], author: "test") }

    private func withLine(
        call: Duration = .seconds(20), _ body: (CatalogServer, TestLine, PostgresCatalogStore) async throws -> Void
    ) async throws {
        let server = try await CatalogServer.current.withDatabase()
        let line = try TestLine(to: server.server.port, on: try LoopbackPort.free())
        defer { line.close() }
        var timing = CatalogTiming()
        timing.call = call
        timing.resolution = call
        let store = try await server.open(port: line.port, timing: timing)
        try await body(server, line, store)
        await store.close()
    }

    @Test func aCommitWhoseAnswerIsLostIsReportedAsStored() async throws {
        try await withLine { server, line, store in
            line.lose(.answer, of: Self.words)
            let next = try await store.commit(change(1), expecting: .zero)
            #expect(line.losses == 1)
            #expect(next.epoch == Epoch(1) && next.settings["n"] == "1")
            let witness = try await server.open(timing: .patient)
            #expect(try await witness.load() == next)
            #expect(try await witness.history(limit: 10).map(\.epoch) == [Epoch(1)])
            await witness.close()
        }
    }

    @Test func aCommitWhoseRequestIsLostIsStoredOnceAllTheSame() async throws {
        try await withLine { server, line, store in
            line.lose(.request, of: Self.words)
            let next = try await store.commit(change(1), expecting: .zero)
            #expect(line.losses == 1 && next.epoch == Epoch(1))
            let history = try await store.history(limit: 10)
            #expect(history.map(\.epoch) == [Epoch(1)])
        }
    }

    @Test func aCommitThatIsGivenUpNeverTakesEffectLater() async throws {
        try await withLine(call: .seconds(10)) { server, line, store in
            line.lose(.delay, of: Self.words)
            let error = await #expect(throws: CatalogError.self) { try await store.commit(change(1), expecting: .zero) }
            guard case .unavailable = error else { throw UnexpectedError(error: error) }
            line.release()
            // The server gets the delayed statement now, and runs it.
            try await Task.sleep(for: .milliseconds(300))
            let other = try await server.open(timing: .patient)
            #expect(try await other.load().epoch == .zero)
            #expect(try await other.commit(change(2), expecting: .zero).settings["n"] == "2")
            #expect(try await other.history(limit: 10).map(\.change) == [change(2)])
            await other.close()
        }
    }

    @Test func aCommitThatNobodyCanLookUpIsReportedAsUnknown() async throws {
        try await withLine(call: .seconds(10)) { server, line, store in
            line.lose(.delay, of: Self.words)
            let outcome = Task { try await store.commit(change(1), expecting: .zero) }
            while line.losses == 0 { try await Task.sleep(for: .milliseconds(5)) }
            line.set(.silent)
            let error = await #expect(throws: CatalogError.self) { try await outcome.value }
            guard case .unknownOutcome = error else { throw UnexpectedError(error: error) }
            line.set(.open)
            line.release()
            // Either way, and then for good.
            let witness = try await server.open(timing: .patient)
            let end = try await witness.load().epoch
            #expect(try await witness.history(limit: 10).count == Int(end.number))
            await witness.close()
        }
    }

    @Test func aCommitOvertakenWhileItsAnswerIsLostIsStillTold() async throws {
        try await withLine { server, line, store in
            let other = try await server.open(timing: .patient)
            line.lose(.answer, of: Self.words)
            let follower = Task {
                for await snapshot in other.watch(after: .zero) where snapshot.epoch == Epoch(1) {
                    return try await other.commit(change(2), expecting: Epoch(1)).epoch
                }
                return Epoch.zero
            }
            #expect(try await store.commit(change(1), expecting: .zero).settings["n"] == "1")
            #expect(try await follower.value == Epoch(2))
            await other.close()
        }
    }

    @Test func aCommitIsFinishedThoughItsCallerIsCancelled() async throws {
        let server = try await CatalogServer.current.withDatabase()
        let store = try await server.open(timing: .patient)
        let task = Task { try await store.commit(change(1), expecting: .zero) }
        task.cancel()
        #expect(try await task.value.epoch == Epoch(1))
        await store.close()
    }

    @Test func aWriterThatIsStoppedInTheMiddleHoldsUpNobody() async throws {
        try await withLine(call: .seconds(12)) { server, line, store in
            let other = try await server.open(timing: .patient)
            _ = try await other.load()
            line.lose(.delay, of: Self.words)
            let outcome = Task { try await store.commit(change(1), expecting: .zero) }
            while line.losses == 0 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(try await other.commit(change(2), expecting: .zero).epoch == Epoch(1))
            let error = await #expect(throws: CatalogError.self) { try await outcome.value }
            guard case .conflict(current: Epoch(1), _) = error else { throw UnexpectedError(error: error) }
            await other.close()
        }
    }
}

struct UnexpectedError: Error { var error: CatalogError? }
