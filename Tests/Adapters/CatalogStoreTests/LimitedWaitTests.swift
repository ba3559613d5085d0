import CatalogStore
import Synchronization
import Testing

@Suite struct LimitedWaitTests {
    private struct Failure: Error {}

    @Test func whatEndsInTimeIsReturnedOrThrown() async throws {
        #expect(try await LimitedWait.value(until: .now + .seconds(60)) { 5 } == 5)
        await #expect(throws: Failure.self) { try await LimitedWait.value(until: .now + .seconds(60)) { throw Failure() } }
        // The deadline counts for what has not ended.
        await #expect(throws: LimitedWait.TimedOut.self) { try await LimitedWait.value(until: .now) { try await Task.sleep(for: .seconds(60)) } }
    }

    @Test func whatTakesNoNoticeOfItsCancellationHoldsNobodyUp() async throws {
        let door = Bell()
        let hasEnded = Mutex(false)
        let work = { @Sendable () -> Void in
            // Not cancelled with its task.
            await Task.detached { await door.wait(after: 0, until: .now + .seconds(60)) }.value
            hasEnded.withLock { $0 = true }
        }
        await #expect(throws: LimitedWait.TimedOut.self) { try await LimitedWait.value(until: .now + .milliseconds(20), work) }
        #expect(!hasEnded.withLock { $0 })
        door.ring()
    }

    @Test func whoIsCancelledCancelsTheWork() async throws {
        let began = Bell()
        let caller = Task {
            try await LimitedWait.value(until: .now + .seconds(60)) {
                began.ring()
                try await Task.sleep(for: .seconds(600))
            }
        }
        await began.wait(after: 0, until: .now + .seconds(60))
        caller.cancel()
        await #expect(throws: CancellationError.self) { try await caller.value }
    }
}
