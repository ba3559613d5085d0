internal import CommitCore
internal import Logging
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import ShardModel

/// Ends the prepared transactions that crashed routers and lost connections left behind, and forgets decisions nobody needs any more.
///
/// Every router runs it; `RecoveryCore` says why that is safe.
struct Recovery: Sendable {
    /// Prepared transactions younger than this have a living coordinator, presumably.
    private static let patience = Duration.seconds(2)

    let control: ControlPlane
    let logger: Logger

    /// Until the task is cancelled. Looks at once: a router is often started because one has crashed.
    func run() async {
        let clients = ShardClients(control: control)
        while !Task.isCancelled {
            guard let catalog = control.catalog else {
                try? await Task.sleep(for: .milliseconds(100))
                continue
            }
            let core = RecoveryCore(cluster: catalog.clusterID, patience: Self.patience)
            let start = ContinuousClock.now
            var young: [Duration] = []
            for database in catalog.databases.keys where !Task.isCancelled {
                let shards = catalog.shards.values.filter { $0.database == database }
                let looked = ContinuousClock.now
                let ages = await RecoverySweep(core: core, shards: shards, clients: clients, control: control, logger: logger).run()
                // They have grown older while the look went on.
                young += ages.map { $0 + looked.duration(to: .now) }
            }
            try? await Task.sleep(for: core.pause(after: start.duration(to: .now), young: young))
        }
        await clients.closeAll()
    }
}

/// One look at the shards of one database.
private struct RecoverySweep: Sendable {
    let core: RecoveryCore
    let shards: [ShardRecord]
    let clients: ShardClients
    let control: ControlPlane
    let logger: Logger
    private static let askedMax = 8

    /// Returns the ages of those that were left alone for being young.
    func run() async -> [Duration] {
        // Records before prepared transactions: see `RecoveryCore.forgettable`.
        let records = await ask { try await decisions(at: $0) }
        let inDoubt = await ask { try await preparedTransactions(at: $0) }
        for shard in shards {
            for prepared in inDoubt[shard.id] ?? [] { await settle(prepared, at: shard) }
        }
        // A list that was cut off tells of no transaction that it is not there.
        let names = inDoubt.filter { $0.value.count < CommitStatements.rowsMax }.mapValues { $0.map(\.name) }
        for shard in shards {
            let ids = core.forgettable(
                records[shard.id] ?? [], of: shard.id, inDoubt: names, shards: Set(shards.map(\.id)))
            if !ids.isEmpty { _ = try? await clients.query(CommitStatements.forget(ids), at: shard) }
        }
        return inDoubt.values.joined().map(\.age).filter { $0 < core.patience }
    }

    /// What each shard answers, a few asked at a time, so that one that hangs delays no other. Without those that did not answer.
    private func ask<Answer: Sendable>(_ question: @escaping @Sendable (ShardRecord) async throws -> Answer) async -> [ShardID: Answer] {
        await withTaskGroup(of: (ShardID, Answer?).self) { group in
            var answers: [ShardID: Answer] = [:]
            for (index, shard) in shards.enumerated() {
                if index >= Self.askedMax, let (id, answer) = await group.next() { answers[id] = answer }
                group.addTask { (shard.id, try? await question(shard)) }
            }
            for await (id, answer) in group { answers[id] = answer }
            return answers
        }
    }

    private func decisions(at shard: ShardRecord) async throws -> [DecisionRecord] {
        try await clients.query(CommitStatements.decisions(), at: shard).rows.compactMap { row in
            guard let key = row.text(0), let age = row.text(2).flatMap({ Int64($0) }) else { return nil }
            return DecisionRecord(
                key: key, isCommitted: row.text(1) == "t", age: .milliseconds(age),
                participants: Self.elements(row.text(3) ?? "{}").map { ShardID($0) })
        }
    }

    private func preparedTransactions(at shard: ShardRecord) async throws -> [InDoubt] {
        let rows = try await clients.query(CommitStatements.preparedTransactions(cluster: core.cluster), at: shard).rows
        return rows.compactMap { row in
            guard let name = row.text(0), let age = row.text(1).flatMap({ Int64($0) }) else { return nil }
            return InDoubt(name: name, age: .milliseconds(age))
        }
    }

    private func settle(_ prepared: InDoubt, at shard: ShardRecord) async {
        var decision: Decision?
        // Each answer leads on: look up, exclude, end.
        for _ in 0..<4 {
            switch core.step(for: prepared, decision: decision) {
            case .lookUp(let id): decision = await lookUp(id)
            case .exclude(let id): decision = await exclude(id)
            case .commit: return await end(prepared, at: shard, CommitStatements.commitPrepared(prepared.name), "recovered_commit")
            case .rollBack: return await end(prepared, at: shard, CommitStatements.rollBackPrepared(prepared.name), "recovered_rollback")
            case .leave(.deciderUnreachable(let decider)):
                logger.debug("A transaction stays in doubt", metadata: ["shard": "\(shard.id)", "decider": "\(decider)"])
                return
            case .leave: return
            }
        }
    }

    private func end(_ prepared: InDoubt, at shard: ShardRecord, _ statement: String, _ outcome: String) async {
        do {
            _ = try await clients.query(statement, at: shard)
            logger.notice("A transaction in doubt was ended", metadata: ["shard": "\(shard.id)", "outcome": "\(outcome)"])
            control.loops.first?.run { $0.metrics.commits.add(outcome) }
        } catch {
            logger.debug("A transaction in doubt could not be ended", metadata: ["shard": "\(shard.id)", "error": "\(error)"])
        }
    }

    private func lookUp(_ id: GlobalTransactionID) async -> Decision {
        guard let decider = shards.first(where: { $0.id == id.decider }) else { return .unreachable }
        guard let result = try? await clients.query(CommitStatements.lookUp([id]), at: decider) else { return .unreachable }
        return Decision(committed: result.rows.first.map { $0.text(1) == "t" })
    }

    private func exclude(_ id: GlobalTransactionID) async -> Decision {
        guard let decider = shards.first(where: { $0.id == id.decider }) else { return .unreachable }
        let decision = await Decision.excluding(id) { try await clients.query($0, at: decider) }
        // A transaction of the marker may be open on it.
        if decision == .unreachable { await clients.drop(decider.id) }
        return decision
    }

    /// The elements of a one-dimensional text array, as PostgreSQL prints it.
    private static func elements(_ text: String) -> [String] {
        var elements: [String] = []
        var current = ""
        var isQuoted = false
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if isEscaped {
                current.append(character)
                isEscaped = false
            } else {
                switch character {
                case "\\": isEscaped = true
                case "\"": isQuoted.toggle()
                case "," where !isQuoted:
                    elements.append(current)
                    current = ""
                default: current.append(character)
                }
            }
        }
        return text.count > 2 ? elements + [current] : []
    }
}

/// Connections to shards for slow, rare questions; a bounded number stays open.
actor ShardClients {
    private static let openMax = 64
    /// A shard that does not answer must not keep the others' transactions in doubt.
    fileprivate static let timeout = TimeAmount.seconds(5)
    private unowned let control: ControlPlane
    private var open: [ShardID: (endpoint: String, client: PGClient)] = [:]

    init(control: ControlPlane) { self.control = control }

    func query(_ sql: String, at shard: ShardRecord, within limit: TimeAmount = timeout) async throws -> PGResult {
        let client = try await client(of: shard)
        do {
            return try await client.query(sql, options: .init(timeout: limit))
        } catch {
            await drop(shard.id)
            throw error
        }
    }

    private func client(of shard: ShardRecord) async throws -> PGClient {
        if let known = open[shard.id], known.endpoint == shard.primaryEndpoint, known.client.isOpen { return known.client }
        await drop(shard.id)
        if open.count >= Self.openMax, let victim = open.keys.first { await drop(victim) }
        let client = try await control.connect(shard.primaryEndpoint)
        open[shard.id] = (shard.primaryEndpoint, client)
        return client
    }

    func drop(_ shard: ShardID) async { await open.removeValue(forKey: shard)?.client.close() }

    func closeAll() async {
        for shard in Array(open.keys) { await drop(shard) }
    }
}

extension ControlPlane {
    /// Whether a transaction whose decider was lost is committed; excludes that it still can be when it is not.
    func lookUp(_ id: GlobalTransactionID, database: String) -> EventLoopFuture<Decision> {
        future {
            guard let shard = self.catalog?.shards[id.decider], shard.database == database else { return .unreachable }
            return try await self.withClient(shard.primaryEndpoint) { client in
                await Decision.excluding(id) { try await client.query($0, options: .init(timeout: ShardClients.timeout)) }
            }
        }
    }

    /// Ends a prepared transaction that is known to be committed, on a shard that may be on its way back. That it is gone already is the same.
    func commitPrepared(_ name: String, at shard: ShardID, until deadline: NIODeadline) -> EventLoopFuture<Bool> {
        future {
            while NIODeadline.now() < deadline, !Task.isCancelled {
                if let endpoint = self.catalog?.shards[shard]?.primaryEndpoint {
                    do {
                        return try await self.withClient(endpoint) { client in
                            _ = try await client.query(CommitStatements.commitPrepared(name), options: .init(timeout: ShardClients.timeout))
                            return true
                        }
                    } catch let error as PGClientError where error.sqlState.code == CommitStatements.undefinedObject {
                        return true
                    } catch {}
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
            return false
        }
    }
}

extension Decision {
    /// Sets the abort marker unless the decision is recorded, and reads which of the two it is. `query` runs on one session.
    fileprivate static func excluding(_ id: GlobalTransactionID, _ query: (String) async throws -> PGResult) async -> Decision {
        do {
            for statement in CommitStatements.exclude(id) { _ = try await query(statement) }
            return Decision(committed: try await query(CommitStatements.lookUp([id])).rows.first.map { $0.text(1) == "t" })
        } catch {
            return .unreachable
        }
    }
}
