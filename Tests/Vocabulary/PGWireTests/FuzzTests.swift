import NIOCore
import PGWire
import Testing
import WireFuzzing

@Suite struct FuzzTests {
    /// A bounded part of what the `WireFuzz` program does with the same seed; the seed is new each time.
    @Test func spoiledMessagesBreakNoParser() throws {
        let seed = WireMutator.seed()
        var mutator = WireMutator(seed: seed, seeds: WireSeeds.messages())
        // Before the runs: a crash leaves no other trace.
        print("spoiled messages with seed \(seed); replay: swift run WireFuzz --seed \(seed)")
        for run in 0..<5_000 {
            do throws(WireFuzzer.Finding) {
                try WireFuzzer.run(mutator.next())
            } catch {
                Issue.record("\(error.what) in run \(run); replay: swift run WireFuzz --seed \(seed)")
                return
            }
        }
    }

    @Test func theSameSeedGivesTheSameInputs() {
        var first = WireMutator(seed: 7, seeds: WireSeeds.messages())
        var second = WireMutator(seed: 7, seeds: WireSeeds.messages())
        for _ in 0..<100 { #expect(first.next() == second.next()) }
    }

    @Test func everySeedIsItselfWithoutFinding() throws {
        for message in WireSeeds.messages() {
            try WireFuzzer.run(message)
            try WireFuzzer.run(message.getSlice(at: message.readerIndex + 5, length: message.readableBytes - 5) ?? message)
        }
    }
}
