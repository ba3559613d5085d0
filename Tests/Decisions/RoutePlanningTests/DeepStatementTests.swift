import Foundation
import RoutePlanning
import SQLSyntax
import Synchronization
import Testing

@Suite struct DeepStatementTests {
    /// Just below the limit, on a thread with the stack that an event loop has.
    @Test(arguments: [
        ("SELECT ", "CASE WHEN true THEN ", "1", " END"), ("SELECT ", "(SELECT ", "1", ")"), ("SELECT ", "- ", "1", ""), ("SELECT 1", " + 1", "", ""),
        ("SELECT * FROM ", "(SELECT * FROM ", "countries", ") x"), ("SELECT 1", " UNION SELECT 1", "", ""), ("SELECT ", "abs(", "1", ")"),
        ("SELECT * FROM orders WHERE customer_id = 5 AND ", "(true OR ", "true", ")"), ("SELECT 1 FROM countries", " JOIN countries ON true", "", ""),
        ("SELECT ", "ARRAY[", "1", "]"), ("SELECT ", "EXISTS (SELECT 1 WHERE ", "true", ")"),
    ] as [(String, String, String, String)])
    func theDeepestStatementsThatAreParsedAreAlsoPlanned(_ start: String, _ open: String, _ middle: String, _ close: String) {
        let sql = { @Sendable (levels: Int) in
            start + String(repeating: open, count: levels) + middle + String(repeating: close, count: levels)
        }
        var (low, high) = (1, 6000)
        while low < high {
            let levels = (low + high + 1) / 2
            if NestingBound.estimate(Array(sql(levels).utf8).span.bytes) <= ParsedSQL.Limits().nestingMax { low = levels } else { high = levels - 1 }
        }
        let levels = low
        let outcome = Mutex("")
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            let route = Fixture.route(sql(levels))
            outcome.withLock { $0 = route }
            done.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
        done.wait()
        #expect(["current", "any", "keyed 5", "PGM-TOO-COMPLEX"].contains(outcome.withLock(\.self)), "\(low) levels: \(outcome.withLock(\.self))")
    }
}
