import CMurmur3
import Foundation
import ShardModel

// swift run -c release RingBenchmark [rounds]
//
// One line a comparison: the ratio, its goal, and the medians of both sides. Ends with status 1 when a goal is missed.

let rounds = max(5, CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 31)
var generator = SystemRandomNumberGenerator()
var comparisons = TokenComparisons(&generator).all
comparisons += try LookupComparisons(&generator).all(&generator)

let key = Array("user-123".utf8)
precondition(Token(hashing: key.span.bytes).value == cmurmur3_h1(key, key.count), "the two sides hash differently")

var missed = 0
for comparison in comparisons {
    let result = comparison.run(rounds: rounds)
    let isMissed = comparison.goal.map { result.ratio > $0 } ?? false
    missed += isMissed ? 1 : 0
    let goal = comparison.goal.map { String(format: "(goal %.2f%@)", $0, isMissed ? ", MISSED" : "") } ?? ""
    print(
        String(format: "%.2f ", result.ratio) + goal
            + String(format: " %@: %.2f ns / %.2f ns, median of %d rounds", comparison.name, result.subject, result.baseline, rounds))
}
print(String(format: "building the ring of 4096 x 256 vnodes: %.1f ms", try LookupComparisons.buildTime()))
exit(missed == 0 ? 0 : 1)
