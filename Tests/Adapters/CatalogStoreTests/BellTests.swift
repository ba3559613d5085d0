import CatalogStore
import Testing

@Suite(.timeLimit(.minutes(1))) struct BellTests {
    private let far = ContinuousClock.now + .seconds(3600)

    @Test func aRingEndsTheWaitAndOneThatWasMissedDoesToo() async {
        let bell = Bell()
        let waiting = Task { [far] in await bell.wait(after: 0, until: far) }
        bell.ring()
        await waiting.value
        await bell.wait(after: 0, until: far)
        #expect(bell.rings == 1)
    }

    /// Whoever gives up a task waits for its end.
    @Test func whoIsCancelledWaitsNoLonger() async {
        let bell = Bell()
        for delay in [0, 1, 20] {
            let waiting = Task { [far] in await bell.wait(after: 0, until: far) }
            try? await Task.sleep(for: .milliseconds(delay))
            waiting.cancel()
            await waiting.value
        }
        #expect(bell.rings == 0)
    }

    @Test func theDeadlineEndsIt() async {
        await Bell().wait(after: 0, until: .now + .milliseconds(10))
    }
}
