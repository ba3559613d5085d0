import ClusterTestKit
import Foundation
import Synchronization

/// Clients that go on through every fault: what fails, fails, but no answer may be untrue.
final class StruckLoad: Sendable {
    private struct State {
        var isOver = false
        var ledgers: [Ledger]
        var references = ReferenceLedger()
    }

    private let ports: [Int]
    private let state: Mutex<State>

    init(_ ports: [Int], clients: Int = 4) {
        self.ports = ports
        state = Mutex(State(ledgers: (0..<clients).map { Ledger(lane: $0) }))
    }

    var summary: String {
        state.withLock { state in
            let codes = state.ledgers.reduce(into: [:]) { $0.merge($1.codes, uniquingKeysWith: +) }
            let told = codes.sorted { $0.key < $1.key }.map { "\($0.key)×\($0.value)" }.joined(separator: " ")
            return "\(state.ledgers.reduce(0) { $0 + $1.done }) done, \(state.ledgers.reduce(0) { $0 + $1.refused }) refused, "
                + "\(state.ledgers.reduce(0) { $0 + $1.doubts.count }) in doubt; \(told)"
        }
    }
    var done: Int { state.withLock { $0.ledgers.reduce(0) { $0 + $1.done } } }

    /// Runs `body` with all clients at work; they go on from what they knew.
    func run<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        let lanes = state.withLock { state in
            state.isOver = false
            return state.ledgers.indices
        }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in lanes { group.addTask { await self.work(lane) } }
            let result: Result<Value, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            state.withLock { $0.isOver = true }
            try await group.waitForAll()
            return try result.get()
        }
    }

    /// What is not as it was told, with all rows of the cluster, and all copies of the reference table.
    func wrong(_ found: [Int64: Int64], copies: [[Int64]]) -> [String] {
        state.withLock { state in
            var wrong: [String] = state.references.wrong(in: copies)
            for lane in state.ledgers.indices {
                let first = Int64(lane) * 1_000_000
                wrong += state.ledgers[lane].settle(with: found, keys: first..<(first + 1_000_000)).map { "lane \(lane): \($0)" }
            }
            return wrong
        }
    }

    // MARK: a client

    private func work(_ lane: Int) async {
        var ledger = state.withLock { $0.ledgers[lane] }
        (ledger.done, ledger.refused, ledger.codes) = (0, 0, [:])
        var client: WireClient?
        // As long as what it did took, however busy the machine is: clients without a pause would leave nothing of it to the job.
        var pause = Duration.zero
        while !state.withLock({ $0.isOver }) {
            try? await Task.sleep(for: pause)
            let start = ContinuousClock.now
            defer { pause = client == nil ? .milliseconds(50) : min(ContinuousClock.now - start, .milliseconds(200)) + .milliseconds(2) }
            if let open = client {
                let goesOn = await step(&ledger, open, writesReferences: lane == 0)
                if !goesOn {
                    open.close()
                    client = nil
                }
            } else {
                client = try? await WireClient.login(port: ports[lane % ports.count])
            }
            state.withLock { [ledger] in $0.ledgers[lane] = ledger }
        }
        client?.close()
    }

    /// False: the connection is lost.
    private func step(_ ledger: inout Ledger, _ client: WireClient, writesReferences: Bool) async -> Bool {
        if let key = ledger.late.randomElement() { return await readLate(&ledger, key, client) }
        let keys = Array(ledger.rows.keys)
        switch Int.random(in: 0..<(writesReferences ? 11 : 10)) {
        case 0..<3: return await insert(&ledger, client)
        case 3..<6:
            guard let key = keys.randomElement(), let value = ledger.rows[key] else { return true }
            return await change(&ledger, "UPDATE kv SET v = v + 1 WHERE k = \(key)", [key: value + 1], "UPDATE 1", client)
        case 6:
            guard let key = keys.randomElement() else { return true }
            return await change(&ledger, "DELETE FROM kv WHERE k = \(key)", [key: nil], "DELETE 1", client)
        case 7:
            guard keys.count > 1 else { return true }
            return await transfer(&ledger, keys.shuffled().prefix(2), client)
        case 8: return await read(&ledger, keys.randomElement(), client)
        case 9:
            let (one, other) = (ledger.next, ledger.next + 1)
            ledger.next += 2
            return await change(&ledger, "INSERT INTO kv VALUES (\(one), 5), (\(other), 5)", [one: 5, other: 5], "INSERT 0 2", client)
        default: return await reference(&ledger, client)
        }
    }

    private func insert(_ ledger: inout Ledger, _ client: WireClient) async -> Bool {
        let key = ledger.next
        ledger.next += 1
        return await change(&ledger, "INSERT INTO kv VALUES (\(key), 0)", [key: 0], "INSERT 0 1", client)
    }

    private func change(_ ledger: inout Ledger, _ sql: String, _ after: [Int64: Int64?], _ tag: String, _ client: WireClient) async -> Bool {
        let outcome = await StruckStatement.run(sql, client)
        ledger.note(outcome)
        switch outcome {
        case .done(let answer):
            if answer.tags.last != tag { ledger.lies.append("\(sql): \(answer.tags)") }
            ledger.know(after, answer)
        case .refused: break
        case .unknown, .lost: ledger.doubt(after, sql)
        }
        return outcome.isConnected
    }

    private func transfer(_ ledger: inout Ledger, _ keys: ArraySlice<Int64>, _ client: WireClient) async -> Bool {
        let two = Array(keys)
        guard let first = ledger.rows[two[0]], let second = ledger.rows[two[1]] else { return true }
        for sql in ["BEGIN", "UPDATE kv SET v = v + 10 WHERE k = \(two[0])", "UPDATE kv SET v = v - 10 WHERE k = \(two[1])"] {
            let outcome = await StruckStatement.run(sql, client)
            ledger.note(outcome)
            guard case .done(let answer) = outcome else {
                // Nobody has asked for a commit.
                guard outcome.isConnected, case .done = await StruckStatement.run("ROLLBACK", client) else { return false }
                return true
            }
            if sql != "BEGIN", answer.tags != ["UPDATE 1"] { ledger.lies.append("\(sql): \(answer.tags)") }
        }
        let after: [Int64: Int64?] = [two[0]: first + 10, two[1]: second - 10]
        let outcome = await StruckStatement.run("COMMIT", client)
        ledger.note(outcome)
        switch outcome {
        case .done(let answer):
            if answer.tags == ["COMMIT"] { ledger.know(after, answer) }
        case .refused: break
        case .unknown, .lost: ledger.doubt(after, "COMMIT of \(two)")
        }
        return outcome.isConnected
    }

    private func read(_ ledger: inout Ledger, _ key: Int64?, _ client: WireClient) async -> Bool {
        guard let key, let value = ledger.rows[key] else { return true }
        let outcome = await StruckStatement.run("SELECT v FROM kv WHERE k = \(key)", client)
        ledger.note(outcome)
        if case .done(let answer) = outcome, answer.rows != [["\(value)"]] { ledger.lies.append("SELECT of \(key), which is \(value): \(answer.rows)") }
        return outcome.isConnected
    }

    /// Of what was acknowledged as not to be seen yet, until it is seen.
    private func readLate(_ ledger: inout Ledger, _ key: Int64, _ client: WireClient) async -> Bool {
        let outcome = await StruckStatement.run("SELECT v FROM kv WHERE k = \(key)", client)
        ledger.note(outcome)
        if case .done(let answer) = outcome, ledger.rows[key].map({ answer.rows == [["\($0)"]] }) ?? true { ledger.late.remove(key) }
        return outcome.isConnected
    }

    private func reference(_ ledger: inout Ledger, _ client: WireClient) async -> Bool {
        let id = ledger.next
        ledger.next += 1
        let outcome = await StruckStatement.run("INSERT INTO ref VALUES (\(id), 1)", client)
        ledger.note(outcome)
        state.withLock { state in
            switch outcome {
            case .done: state.references.done.insert(id)
            case .refused: break
            case .unknown, .lost: state.references.unknown.insert(id)
            }
        }
        return outcome.isConnected
    }
}

extension Ledger {
    fileprivate mutating func know(_ after: [Int64: Int64?], _ answer: StruckStatement.Answer) {
        for (key, value) in after { rows[key] = value }
        if answer.isLate { late.formUnion(after.keys) }
    }

    fileprivate mutating func note(_ outcome: StruckStatement.Outcome) {
        switch outcome {
        case .done: done += 1
        case .refused(let code), .unknown(let code):
            refused += 1
            codes[code, default: 0] += 1
        case .lost: codes["lost", default: 0] += 1
        }
    }
}

/// A statement and what its client may conclude from the answer.
enum StruckStatement {
    struct Answer: Sendable {
        var tags: [String]
        var rows: [[String?]]
        /// With the warning that it is not to be seen yet.
        var isLate: Bool
    }

    enum Outcome: Sendable {
        case done(Answer)
        /// An error that says that nothing was done.
        case refused(String)
        /// An error that says that nobody knows.
        case unknown(String)
        case lost

        var isConnected: Bool {
            if case .lost = self { false } else { true }
        }
    }

    private static let unknownCodes: Set = ["08007", "40003"]

    static func run(_ sql: String, _ client: WireClient) async -> Outcome {
        do {
            try await client.send(WireMessages.query(sql))
            let messages = try await client.until("Z", within: .seconds(120))
            guard let error = messages.first(where: { $0.kind == "E" }) else {
                let isLate = messages.contains { $0.kind == "N" && $0.field("M")?.contains("not to be seen yet") == true }
                return .done(Answer(tags: messages.compactMap(\.tag), rows: messages.filter { $0.kind == "D" }.map(\.row), isLate: isLate))
            }
            let code = error.sqlState ?? ""
            return unknownCodes.contains(code) ? .unknown(code) : .refused(code)
        } catch {
            return .lost
        }
    }
}
