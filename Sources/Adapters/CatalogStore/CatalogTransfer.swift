package import ShardModel

/// Brings a catalog from elsewhere into a store. Epochs only grow: of what is brought, of what was there, and of what routers may have seen.
package enum CatalogTransfer {
    /// Puts an export into `store`, which is empty, or has the same cluster's catalog and `replaces` allows to put the export in its place.
    ///
    /// `above`: an epoch that routers have seen, where the export is older and the store is lost.
    package static func take(
        _ export: CatalogExport, into store: any CatalogStore, replaces: Bool = false, above: Epoch = .zero, author: String = "catalog import"
    ) async throws(CatalogError) -> CatalogSnapshot {
        var snapshot = try export.snapshot()
        let current = try await store.load()
        if !current.isEmpty {
            guard current.clusterID == snapshot.clusterID else {
                throw .invalid("the target holds the catalog of another cluster, which is not replaced")
            }
            guard replaces else { throw .invalid("the target holds a catalog already, at epoch \(current.epoch)") }
        }
        let newest = max(snapshot.epoch, current.epoch, above)
        guard newest.number < UInt64(Int64.max) - 1 else { throw .invalid("there is no epoch above \(newest)") }
        snapshot.epoch = newest.next
        snapshot.settings[CatalogSnapshot.movedSetting] = nil
        try await replace(in: store, with: snapshot, history: export.history, author: author, expecting: current.epoch)
        return snapshot
    }

    /// Throws where `take` would find something in its way.
    package static func requireEmpty(_ store: any CatalogStore) async throws(CatalogError) {
        let current = try await store.load()
        guard current.isEmpty else { throw .invalid("the target holds a catalog already, at epoch \(current.epoch)") }
    }

    /// Moves the catalog of `source` into the empty store `target`, known as `place`. The source is closed first and takes no further change, so that no
    /// router ever sees an epoch of it that the target does not continue. What was interrupted is gone on with by the same call again.
    package static func move(
        from source: any CatalogStore, to target: any CatalogStore, at place: String
    ) async throws(CatalogError) -> CatalogSnapshot {
        let before = try await source.load()
        let there = try await target.load()
        let wasClosed = before.settings[CatalogSnapshot.movedSetting] == place
        if !there.isEmpty {
            guard wasClosed, there.clusterID == before.clusterID, there.epoch > before.epoch else {
                throw .invalid("the target holds a catalog already, at epoch \(there.epoch)")
            }
            return there
        }
        let closed = try await close(source, for: place)
        var next = closed
        next.epoch = closed.epoch.next
        next.settings[CatalogSnapshot.movedSetting] = nil
        do throws(CatalogError) {
            let history = try await source.history(limit: CatalogHistoryEntry.keptMin)
            try await replace(in: target, with: next, history: history, author: "catalog copy", expecting: there.epoch)
        } catch {
            // Nothing was written: the source goes on. Otherwise it stays closed until somebody has looked.
            if case .unknownOutcome = error { throw error }
            let opening = CatalogChange([.setSetting(name: CatalogSnapshot.movedSetting, value: nil)], author: "catalog copy")
            do throws(CatalogError) {
                _ = try await source.commit(opening, expecting: closed.epoch)
            } catch let second {
                throw .unavailable("\(error); and the source stays closed: \(second). Run the same command again")
            }
            throw error
        }
        return next
    }

    /// Makes a change that everything may be read for and decided anew, as often as others are faster. nil: there was nothing to change.
    ///
    /// `decide` throws to give up. An outcome that is not known is decided anew on what is there: a decision must find nothing to do once it is done.
    package static func change(
        _ store: any CatalogStore, author: String, _ decide: (CatalogSnapshot) throws(CatalogError) -> [CatalogChange.Operation]
    ) async throws(CatalogError) -> CatalogSnapshot? {
        var last = CatalogError.unavailable("the catalog is changed all the time")
        var wasTried = false
        for _ in 0..<20 {
            let now = try await store.load()
            let operations = try decide(now)
            if operations.isEmpty { return wasTried ? now : nil }
            do throws(CatalogError) {
                return try await store.commit(CatalogChange(operations, author: author), expecting: now.epoch)
            } catch {
                switch error {
                case .conflict: last = error
                case .unknownOutcome: (last, wasTried) = (error, true)
                default: throw error
                }
            }
        }
        throw last
    }

    private static func close(_ source: any CatalogStore, for place: String) async throws(CatalogError) -> CatalogSnapshot {
        var last = CatalogError.unavailable("the source is changed all the time")
        for _ in 0..<20 {
            let now = try await source.load()
            if let other = now.settings[CatalogSnapshot.movedSetting] {
                guard other == place else { throw .unavailable("the source was moved to \(other) before") }
                return now
            }
            do throws(CatalogError) {
                let closing = CatalogChange([.setSetting(name: CatalogSnapshot.movedSetting, value: place)], author: "catalog copy")
                return try await source.commit(closing, expecting: now.epoch)
            } catch {
                switch error {
                case .conflict, .unknownOutcome: last = error
                default: throw error
                }
            }
        }
        throw last
    }

    /// An outcome that is not known is looked up.
    private static func replace(
        in store: any CatalogStore, with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        do throws(CatalogError) {
            try await store.replace(with: snapshot, history: history, author: author, expecting: epoch)
        } catch {
            guard case .unknownOutcome = error, let now = try? await store.load(), now == snapshot else { throw error }
        }
    }
}

extension CatalogSnapshot {
    fileprivate var isEmpty: Bool { self == CatalogSnapshot(clusterID: clusterID) }
}
