internal import CatalogCopies
package import CatalogStore
internal import Foundation
package import Logging
package import NIOCore
package import PGChannel
internal import PGWire
package import Secrets
package import ServerConfig
internal import ServiceLifecycle
internal import ShardModel
internal import Synchronization
package import Telemetry

/// Keeps a copy of the catalog on every shard, for the day on which the catalog store is lost: `pgmosaic catalog recover` reads them. Nobody else does.
///
/// Off every request's path: the leader looks at the catalog once in a while, and writes to the shards that are behind, a few at a time. Epochs that come
/// and go in between are never written. A round takes at most a tenth of the time, however many shards there are; a shard that does not answer is left for
/// longer and longer, and caught up later.
package final class CatalogCopier: Service {
    /// Shards written to at a time.
    static let widthMax = 8
    /// The longest that one shard may take.
    static let writeLimit = Duration.seconds(10)
    /// A shard that fails is tried again after the interval, twice that, and so on to this.
    static let pauseMax = Duration.seconds(300)
    /// A shard that is up to date is looked at all the same: somebody may have removed the copy.
    static let lookInterval = Duration.seconds(600)

    /// What is known of the copy on one shard.
    struct Known: Sendable {
        var endpoint: String
        /// nil: not known yet.
        var epoch: Epoch?
        var lookedAt = ContinuousClock.now
        var failures = 0
        var notBefore = ContinuousClock.now
        /// Since when it lacks an epoch that the catalog has.
        var behindSince: ContinuousClock.Instant?
        /// Of which it has been said that it is newer than the catalog.
        var toldOf: Epoch?
    }

    private let store: any CatalogStore
    private let election: LeaderElection?
    private let box: SecretBox?
    private let settings: CopySettings
    private let id: String
    private let group: any EventLoopGroup
    private let addresses: AddressPolicy
    private let logger: Logger
    private let state = Mutex<[ShardID: Known]>([:])

    /// - election: nil: one manager alone.
    package init(
        id: String, store: any CatalogStore, election: LeaderElection?, box: SecretBox?, settings: CopySettings, group: any EventLoopGroup,
        addresses: AddressPolicy, logger: Logger
    ) {
        self.id = id
        self.store = store
        self.election = election
        self.box = box
        self.settings = settings
        self.group = group
        self.addresses = addresses
        self.logger = logger
    }

    package func run() async throws {
        guard settings.isEnabled else {
            // A service that returns would end the others.
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            var pause = self.settings.interval
            while !Task.isCancelled {
                try? await Task.sleep(for: pause)
                if Task.isCancelled { return }
                let start = ContinuousClock.now
                await self.round()
                pause = max(self.settings.interval, (.now - start) * 9)
            }
        }
    }

    private var leads: Bool {
        guard let election else { return true }
        return if case .leader = election.role { true } else { false }
    }

    /// One look, and what it takes to bring every shard up to the catalog.
    package func round() async {
        guard leads else { return state.withLock { $0 = [:] } }
        guard let catalog = try? await store.load() else { return }
        let due = due(in: catalog)
        if due.isEmpty { return }
        let copy: CatalogCopy
        do {
            copy = try CatalogCopy(of: catalog, with: box)
        } catch {
            return logger.warning("The catalog cannot be copied to the shards", error: error)
        }
        await withDiscardingTaskGroup { group in
            let lanes = Lanes(due)
            for _ in 0..<min(Self.widthMax, due.count) {
                group.addTask { while let shard = lanes.next() { await self.write(copy, to: shard) } }
            }
        }
    }

    /// The shards whose copy is not the catalog's, or has not been looked at for long; those that failed lately wait.
    private func due(in catalog: CatalogSnapshot) -> [ShardRecord] {
        let now = ContinuousClock.now
        return state.withLock { state in
            state = state.filter { catalog.shards[$0.key]?.primaryEndpoint == $0.value.endpoint }
            var due: [ShardRecord] = []
            for shard in catalog.shards.values.sorted(by: { $0.id < $1.id }) {
                var known = state[shard.id] ?? Known(endpoint: shard.primaryEndpoint)
                let isCurrent = known.epoch == catalog.epoch
                known.behindSince = isCurrent ? nil : known.behindSince ?? now
                if known.notBefore <= now, !isCurrent || known.lookedAt + Self.lookInterval < now { due.append(shard) }
                state[shard.id] = known
            }
            return due
        }
    }

    private func write(_ copy: CatalogCopy, to shard: ShardRecord) async {
        // The lease may have gone while others were written to. What is written all the same never takes a copy back.
        guard leads, !Task.isCancelled else { return }
        do {
            let outcome = try await Self.limited(Self.writeLimit) { try await self.attempt(copy, shard) }
            switch outcome {
            case .current: written(copy.epoch, shard)
            case .newer(let epoch): tellOfNewer(epoch, than: copy.epoch, shard)
            case .notTheShard: failed(shard, "the database is not marked as the shard")
            }
        } catch {
            failed(shard, (error as? PGClientError)?.description ?? (error as? SecretError)?.description ?? "\(type(of: error))")
        }
    }

    private func attempt(_ copy: CatalogCopy, _ shard: ShardRecord) async throws -> ShardCopies.Outcome {
        let endpoint = try PostgresEndpoint.parse(try EndpointSecrets.opened(shard.primaryEndpoint, with: box))
        var options = PGClient.Options()
        options.connectTimeout = TimeAmount(Self.writeLimit)
        options.callTimeout = TimeAmount(Self.writeLimit)
        options.addresses = addresses
        options.overrides.parameters = [.init(name: "application_name", value: "pgmosaic-copies")]
        let client = try await PGClient.connect(to: endpoint, on: group, options: options)
        defer { Task { await client.close() } }
        return try await ShardCopies(client, place: "\(endpoint)").write(copy, to: shard.id, of: shard.database, by: id)
    }

    /// All of it within `limit`: each call of the client has a time of its own.
    private static func limited<Value: Sendable>(_ limit: Duration, _ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: limit)
                throw PGClientError(.timedOut, execution: .unknown)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw PGClientError(.timedOut, execution: .unknown) }
            return first
        }
    }

    // MARK: what is known

    private func written(_ epoch: Epoch, _ shard: ShardRecord) {
        let failures = state.withLock { state in
            let failures = state[shard.id]?.failures ?? 0
            state[shard.id] = Known(endpoint: shard.primaryEndpoint, epoch: epoch)
            return failures
        }
        if failures > 0 { logger.notice("A shard has a copy of the catalog again", metadata: ["shard": "\(shard.id)", "epoch": "\(epoch)"]) }
    }

    /// The store has gone back, by a backup that was restored. The copy stays: it is what is left of the newer catalog.
    private func tellOfNewer(_ newer: Epoch, than epoch: Epoch, _ shard: ShardRecord) {
        let isNews = state.withLock { state in
            var known = state[shard.id] ?? Known(endpoint: shard.primaryEndpoint)
            defer { state[shard.id] = known }
            known.epoch = newer
            known.lookedAt = .now
            known.notBefore = .now + Self.lookInterval
            defer { known.toldOf = newer }
            return known.toldOf != newer
        }
        guard isNews else { return }
        logger.error(
            "A shard has a copy of a newer catalog than the catalog store: was the store restored from a backup?",
            metadata: ["shard": "\(shard.id)", "copy": "\(newer)", "catalog": "\(epoch)"])
    }

    private func failed(_ shard: ShardRecord, _ reason: String) {
        let failures = state.withLock { state in
            var known = state[shard.id] ?? Known(endpoint: shard.primaryEndpoint)
            known.failures += 1
            known.notBefore = .now + min(Self.pauseMax, settings.interval * Double(1 << min(known.failures - 1, 10)))
            state[shard.id] = known
            return known.failures
        }
        logger.log(
            level: failures == 1 ? .warning : .debug, "The catalog could not be copied to a shard; it is tried again",
            metadata: ["shard": "\(shard.id)", "reason": "\(reason)"])
    }

    package func metricSnapshot() -> MetricSnapshot {
        var snapshot = MetricSnapshot()
        let now = ContinuousClock.now
        for (shard, known) in state.withLock(\.self) {
            if let epoch = known.epoch { snapshot.add(MetricCatalogue.catalogCopyEpoch, [shard.name], gauge: Double(epoch.number)) }
            let age = known.behindSince.map { now - $0 } ?? .zero
            snapshot.add(MetricCatalogue.catalogCopyBehind, [shard.name], gauge: age.seconds)
        }
        return snapshot
    }

    /// Gives each shard to one lane.
    private final class Lanes: Sendable {
        private let shards: Mutex<ArraySlice<ShardRecord>>
        init(_ shards: [ShardRecord]) { self.shards = Mutex(shards[...]) }
        func next() -> ShardRecord? { shards.withLock { $0.popFirst() } }
    }
}
