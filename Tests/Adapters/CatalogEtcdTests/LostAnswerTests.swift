import CatalogEtcd
import CatalogStore
import EtcdTestKit
import PostgresProcess
import ShardModel
import TestKit
import Testing

/// What a writer is told of a commit whose request or answer is lost on the way.
@Suite(.sharedEtcd) struct LostAnswerTests {
    /// Of the history's entry, which only a commit sends.
    private static let words = #""author""#

    private func withLine(
        call: Duration = .seconds(20), resolution: Duration = .seconds(20), _ body: (EtcdCluster, String, TestLine, EtcdCatalogStore) async throws -> Void
    ) async throws {
        let (cluster, prefix) = (try SharedEtcd.current, SharedEtcd.newPrefix())
        let line = try TestLine(to: cluster.port(), on: try LoopbackPort.free())
        defer { line.close() }
        var timing = EtcdTiming.patient
        timing.call = call
        timing.resolution = resolution
        let store = try await cluster.open(port: line.port, prefix: prefix, timing: timing)
        try await body(cluster, prefix, line, store)
        await store.close()
    }

    @Test func aCommitWhoseAnswerIsLostIsReportedAsStored() async throws {
        try await withLine { cluster, prefix, line, store in
            line.lose(.answer, of: Self.words)
            let next = try await store.commit(numbering(1), expecting: .zero)
            #expect(line.losses == 1)
            #expect(next.epoch == Epoch(1) && next.settings["n"] == "1")
            // What it is known by now is right: another commit goes on from there.
            #expect(try await store.commit(numbering(2), expecting: Epoch(1)).epoch == Epoch(2))
            let witness = try await cluster.open(prefix: prefix, timing: .patient)
            #expect(try await witness.history(limit: 10).map(\.epoch) == [Epoch(2), Epoch(1)])
            await witness.close()
        }
    }

    @Test func aCommitWhoseRequestIsLostIsStoredOnceAllTheSame() async throws {
        try await withLine { _, _, line, store in
            line.lose(.request, of: Self.words)
            let next = try await store.commit(numbering(1), expecting: .zero)
            #expect(line.losses == 1 && next.epoch == Epoch(1))
            #expect(try await store.history(limit: 10).map(\.epoch) == [Epoch(1)])
        }
    }

    @Test func aCommitThatIsGivenUpNeverTakesEffectLater() async throws {
        try await withLine(call: .seconds(12)) { cluster, prefix, line, store in
            line.lose(.delay, of: Self.words)
            let error = try await catalogError { try await store.commit(numbering(1), expecting: .zero) }
            guard case .unavailable = error else { throw UnexpectedError(error: error) }
            line.release()
            // The server gets the delayed transaction now, and runs it.
            try await Task.sleep(for: .milliseconds(300))
            let other = try await cluster.open(prefix: prefix, timing: .patient)
            #expect(try await other.load().epoch == .zero)
            #expect(try await other.commit(numbering(2), expecting: .zero).settings["n"] == "2")
            #expect(try await other.history(limit: 10).map(\.change) == [numbering(2)])
            await other.close()
        }
    }

    @Test func aCommitThatNobodyCanLookUpIsReportedAsUnknown() async throws {
        try await withLine(call: .seconds(12), resolution: .seconds(6)) { cluster, prefix, line, store in
            line.lose(.delay, of: Self.words)
            let outcome = Task { try await store.commit(numbering(1), expecting: .zero) }
            while line.losses == 0 { try await Task.sleep(for: .milliseconds(5)) }
            line.set(.silent)
            let error = try await catalogError { try await outcome.value }
            guard case .unknownOutcome = error else { throw UnexpectedError(error: error) }
            line.set(.open)
            line.release()
            // Either way, and then for good.
            let witness = try await cluster.open(prefix: prefix, timing: .patient)
            let end = try await witness.load().epoch
            #expect(try await witness.history(limit: 10).count == Int(end.number))
            await witness.close()
        }
    }

    @Test func aCommitOvertakenWhileItsAnswerIsLostIsStillTold() async throws {
        try await withLine { cluster, prefix, line, store in
            let other = try await cluster.open(prefix: prefix, timing: .patient)
            line.lose(.answer, of: Self.words)
            let follower = Task {
                for await snapshot in other.watch(after: .zero) where snapshot.epoch == Epoch(1) {
                    return try await other.commit(numbering(2), expecting: Epoch(1)).epoch
                }
                return Epoch.zero
            }
            #expect(try await store.commit(numbering(1), expecting: .zero).settings["n"] == "1")
            #expect(try await follower.value == Epoch(2))
            await other.close()
        }
    }

    @Test func aCommitIsFinishedThoughItsCallerIsCancelled() async throws {
        let store = try await (try SharedEtcd.current).open(prefix: SharedEtcd.newPrefix(), timing: .patient)
        let task = Task { try await store.commit(numbering(1), expecting: .zero) }
        task.cancel()
        #expect(try await task.value.epoch == Epoch(1))
        await store.close()
    }

    @Test func aLeaseWhoseAnswerIsLostIsHeldWithOneToken() async throws {
        try await withLine { cluster, prefix, line, store in
            line.lose(.answer, of: "holder-a")
            let lease = try #require(try await store.acquireLease("leader", holder: "holder-a", ttl: .seconds(300)))
            #expect(line.losses == 1)
            let other = try await cluster.open(prefix: prefix, timing: .patient)
            #expect(try await other.acquireLease("leader", holder: "b", ttl: .seconds(300)) == nil)
            #expect(try await other.acquireLease("leader", holder: "holder-a", ttl: .seconds(300)) == lease)
            await other.close()
        }
    }
}
