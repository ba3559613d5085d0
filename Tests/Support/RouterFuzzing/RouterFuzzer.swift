#if DEBUG
internal import WireFuzzing

/// Feeds a router's client side and its shards' side with hostile bytes, world after world.
package enum RouterFuzzer {
    package struct Totals: Sendable, CustomStringConvertible {
        package var worlds = 0
        package var fromClients = 0
        package var fromShards = 0
        package var spoiled = 0
        package var clients = 0
        package var scattered = 0

        package var inputs: Int { fromClients + fromShards }

        package var description: String {
            "\(inputs) inputs: \(fromClients) from clients, \(fromShards) from shards, with \(spoiled) spoiled messages, "
                + "by \(clients) clients in \(worlds) worlds, with \(scattered) pipelines over several shards"
        }
    }

    /// Whole worlds until there were so many inputs. A world's seed is `seed` plus its number; what is thrown names it.
    ///
    /// - tell: told what everybody says.
    @discardableResult
    package static func run(
        inputs: Int, seed: UInt64, tell: ((String) -> Void)? = nil, progress: (Totals) -> Void = { _ in }
    ) throws -> Totals {
        var totals = Totals()
        while totals.inputs < inputs {
            let worldSeed = seed &+ UInt64(totals.worlds)
            do {
                let world = try RouterWorld(seed: worldSeed, tell: tell)
                try world.run()
                totals.fromClients += world.count.fromClients
                totals.fromShards += world.count.fromShards
                totals.spoiled += world.count.spoiled
                totals.clients += world.count.clients
                totals.scattered += world.count.scattered
            } catch {
                throw WireFuzzer.Finding(what: "world \(worldSeed): \((error as? WireFuzzer.Finding)?.what ?? "\(error)")")
            }
            totals.worlds += 1
            progress(totals)
        }
        return totals
    }
}
#endif
