import Foundation
import NIOPosix
import PGChannel
import Synchronization

/// Clients of the demo's routers, each of which reads and writes single keys of the data set, and goes on whatever happens.
final class DemoLoad: Sendable {
    struct Tally: Sendable {
        var statements = 0
        var failures = 0
        var slowest = Duration.zero
        var lastFailure: String?
    }

    private let statements: Statements
    private let addresses: [String]
    private let tally = Mutex(Tally())

    init(on addresses: [String], _ dataset: DemoDataset) throws {
        guard let statements = Statements(dataset) else { throw DemoError("the demo has no data set to work on") }
        self.statements = statements
        self.addresses = addresses
    }

    /// What happened since it was asked last.
    func takeTally() -> Tally { tally.withLock { exchange(&$0, with: Tally()) } }

    /// Ends with the task that runs it.
    func run(clients: Int) async {
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<clients { group.addTask { await self.work(at: self.addresses[number % self.addresses.count]) } }
        }
    }

    private func work(at address: String) async {
        while !Task.isCancelled {
            do {
                let client = try await PGClient.connect(to: try PostgresEndpoint.parse(address), on: MultiThreadedEventLoopGroup.singleton)
                while client.isOpen, !Task.isCancelled { try await step(client) }
                await client.close()
            } catch {
                note(error)
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func step(_ client: PGClient) async throws {
        let (sql, parameters) = statements.next()
        let start = ContinuousClock.now
        do {
            _ = try await client.query(sql, parameters)
        } catch let error as PGClientError {
            note(error)
            if !client.isOpen { throw CancellationError() }
        }
        let took = ContinuousClock.now - start
        tally.withLock { tally in
            tally.statements += 1
            tally.slowest = max(tally.slowest, took)
        }
    }

    /// A statement that was cut short by the end of the load is none that failed, and one whose connection broke counts once.
    private func note(_ error: any Error) {
        guard !Task.isCancelled, !(error is CancellationError) else { return }
        tally.withLock { tally in
            tally.failures += 1
            tally.lastFailure = "\(error)"
        }
    }

    /// What clients of a data set do: two reads for each write.
    private struct Statements {
        private let reads: [String]
        private let write: String
        private let key: @Sendable () -> PGParameter

        init?(_ dataset: DemoDataset) {
            switch dataset {
            case .shop:
                reads = [
                    "SELECT name, email FROM customers WHERE customer_id = $1",
                    "SELECT o.order_id, sum(i.quantity) FROM orders o JOIN items i USING (customer_id, order_id) WHERE customer_id = $1 GROUP BY 1",
                ]
                write = "UPDATE customers SET newsletter = NOT newsletter WHERE customer_id = $1"
                key = { .integer(Int.random(in: 1...ShopData.customerCount)) }
            case .flights:
                reads = ["SELECT count(*) FROM flights WHERE tailnum = $1", "SELECT model, seats FROM planes WHERE tailnum = $1"]
                write = "UPDATE planes SET seats = seats WHERE tailnum = $1"
                // As tail numbers are: many of them fly.
                key = { .text("N\(Int.random(in: 100...999))\(["AA", "UA", "DL", "JB", "MQ", "WN"].randomElement() ?? "AA")") }
            case .none:
                return nil
            }
        }

        func next() -> (String, [PGParameter]) {
            let turn = Int.random(in: 0..<(reads.count + 1))
            return (turn < reads.count ? reads[turn] : write, [key()])
        }
    }
}
