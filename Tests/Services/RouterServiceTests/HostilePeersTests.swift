import RouterFuzzing
import Testing

/// A bounded part of what the `RouterFuzz` program does.
@Suite struct HostilePeersTests {
    @Test func hostileClientsAndShardsBreakNothing() throws {
        // A crash leaves no other trace.
        print("to repeat: SWIFT_DETERMINISTIC_HASHING=1 swift run RouterFuzz --seed 1 --inputs 5000 --trace")
        let totals = try RouterFuzzer.run(inputs: 5_000, seed: 1)
        // Fewer would mean that one of the sides was hardly met.
        #expect(totals.fromClients > 1000 && totals.fromShards > 1000 && totals.spoiled > 100 && totals.scattered > 10)
    }
}
