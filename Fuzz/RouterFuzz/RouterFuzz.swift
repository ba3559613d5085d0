#if DEBUG
import Foundation
import RouterFuzzing

/// Hostile clients and hostile shards around one event loop of a router: `RouterFuzz [--inputs 100000] [--seed N] [--trace] [--talk]`.
///
/// A finding, or a crash, names its world: `--seed WORLD --inputs 1` repeats it alone. `--trace` tells each world before it begins, `--talk`
/// everything that its peers say.
@main
enum RouterFuzz {
    static func main() {
        let inputs = option("--inputs").flatMap { Int($0) } ?? 100_000
        let seed = option("--seed").flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let traces = CommandLine.arguments.contains("--trace")
        tell("seed \(seed); to repeat: SWIFT_DETERMINISTIC_HASHING=1 RouterFuzz --seed \(seed) --inputs \(inputs)")
        do {
            let listener: ((String) -> Void)? = CommandLine.arguments.contains("--talk") ? { tell($0) } : nil
            let totals = try RouterFuzzer.run(inputs: inputs, seed: seed, tell: listener) { totals in
                if traces || totals.worlds % 500 == 0 { tell("next world \(seed &+ UInt64(totals.worlds)) after \(totals.inputs) inputs") }
            }
            tell("\(totals); no finding")
        } catch {
            tell("found: \(error)")
            exit(1)
        }
    }

    /// At once: a crash must not take the last lines with it.
    private static func tell(_ line: String) {
        print(line)
        fflush(nil)
    }

    private static func option(_ name: String) -> String? {
        let arguments = CommandLine.arguments
        guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else { return nil }
        return arguments[index + 1]
    }
}
#else
// It reaches into the router as tests do, which only debug builds allow.
@main
enum RouterFuzz {
    static func main() { preconditionFailure("RouterFuzz is built in debug mode") }
}
#endif
