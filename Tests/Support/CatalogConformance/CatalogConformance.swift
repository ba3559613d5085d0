package import CatalogStore
internal import ShardModel

/// What a test run offers the suite: one catalog, new and empty at first, that can be opened any number of times.
package protocol CatalogUnderTest: Sendable {
    /// One more store of the same catalog, as another process would open it.
    func open() async throws -> any CatalogStore
    func close(_ store: any CatalogStore) async throws
}

/// What every `CatalogStore` must do. Each check takes a catalog of its own and throws `ConformanceFailure` where the store is wrong.
package struct CatalogConformance: Sendable {
    package struct Check: Sendable, CustomStringConvertible {
        package var name: String
        package var run: @Sendable (any CatalogUnderTest) async throws -> Void
        package var description: String { name }
    }

    package static let checks: [Check] = [
        check("a new catalog is empty, at epoch 0, of one cluster", startsEmpty),
        check("a commit is seen by every store, and after opening again", commitIsSeenEverywhere),
        check("a stale epoch is a conflict and writes nothing", staleEpochWritesNothing),
        check("a stale version is a conflict and writes nothing", staleVersionWritesNothing),
        check("a change is all or nothing", changeIsAllOrNothing),
        check("a change that breaks an invariant is refused and writes nothing", brokenInvariantWritesNothing),
        check("what was deleted is gone everywhere", deletionIsSeenEverywhere),
        check("jobs and holds are records as all others, and held tokens keep their owner", holdsAreKept),
        check("fifty writers lose no update", fiftyWritersLoseNothing),
        check("a watch has no repeat and no step back, and ends at the newest, across reconnects", watchIsOrdered),
        check("a watch from any epoch starts with something newer", watchStartsAnywhere),
        check("a watcher that sleeps gets the newest", sleepingWatcherGetsNewest),
        check("a cancelled watch ends", cancelledWatchEnds),
        check("the history has the newest changes first", historyIsNewestFirst),
        check("a catalog from elsewhere takes the place of an empty one, with its epoch and history", replacementOfEmpty),
        check("a catalog from elsewhere takes the place of another for every store and watch", replacementIsSeenEverywhere),
        check("a replacement that is wrong, stale or older writes nothing", wrongReplacementWritesNothing),
        check("a catalog that was moved takes no change until it is opened again", movedCatalogIsClosed),
        check("a lease has one holder, and its token grows when it is taken anew", leaseChangesHands),
        check("a lease expires, unless it is renewed", leaseExpires),
        check("of many contenders one gets the lease", leaseHasOneWinner),
        check("a lease that is not one's own any more is not released", staleReleaseDoesNothing),
        check("who holds a lease is seen by every store, until it is released or expires", holderIsSeen),
        check("a commit under a lease that was released or taken anew writes nothing, and says so", staleFenceWritesNothing),
        check("a fence that is wrong in name, holder or token writes nothing", wrongFenceWritesNothing),
        check("the history has the token of each fenced commit", historyHasTokens),
        check("leaders that take over from each other never commit after their end", leadersAreFenced),
        check("an answer is kept with its change, for every store, or not at all", answerIsKeptWithItsChange),
        check("of writers with one key one commits, and the others find its answer", oneAnswerForOneKey),
        check("answers are kept for their number of epochs, and a key may come again later", answersAreSwept),
        check("members come, are renewed, expire and go", membersComeAndGo),
        check("leases and members do not move the epoch", leasesAndMembersKeepTheEpoch),
    ]

    let catalog: any CatalogUnderTest

    private static func check(_ name: String, _ body: @escaping @Sendable (Self) -> () async throws -> Void) -> Check {
        Check(name: name) { catalog in try await body(CatalogConformance(catalog: catalog))() }
    }
}

package struct ConformanceFailure: Error, CustomStringConvertible {
    package var description: String
}

extension CatalogConformance {
    func expect(_ condition: Bool, _ expectation: @autoclosure () -> String, line: Int = #line) throws {
        if !condition { throw ConformanceFailure(description: "line \(line): expected that \(expectation())") }
    }

    /// Runs `body` on `count` stores of the catalog, and closes them.
    func withStores(_ count: Int, _ body: ([any CatalogStore]) async throws -> Void) async throws {
        var stores: [any CatalogStore] = []
        for _ in 0..<count { stores.append(try await catalog.open()) }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(stores))
        } catch {
            result = .failure(error)
        }
        for store in stores { try await catalog.close(store) }
        try result.get()
    }

    func withStore(_ body: (any CatalogStore) async throws -> Void) async throws {
        try await withStores(1) { try await body($0[0]) }
    }

    /// The error of an operation that must fail.
    func failure(_ what: String, _ operation: () async throws(CatalogError) -> some Any) async throws -> CatalogError {
        do throws(CatalogError) {
            _ = try await operation()
        } catch {
            return error
        }
        throw ConformanceFailure(description: "\(what) succeeded")
    }

    /// Fails instead of hanging when `body` does not end.
    func within<Value: Sendable>(
        _ what: String, limit: Duration = .seconds(60), _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await Task.sleep(for: limit)
                throw ConformanceFailure(description: "\(what): nothing within \(limit)")
            }
            guard let first = try await group.next() else { throw CancellationError() }
            group.cancelAll()
            return first
        }
    }
}
