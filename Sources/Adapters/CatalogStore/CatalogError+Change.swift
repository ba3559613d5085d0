package import ShardModel

extension CatalogError {
    /// A refused change, as the writer is told: a stale version is a conflict, everything else is the change's own fault.
    package init(_ error: CatalogChangeError, at epoch: Epoch) {
        if case .moved = error {
            self = .unavailable(error.description)
        } else {
            self = error.isConflict ? .conflict(current: epoch, detail: error.description) : .invalid(error.description)
        }
    }

    package static func fenced(_ lease: Lease) -> CatalogError {
        .fenced("lease \"\(lease.name)\" is not held under token \(lease.fencingToken) any more")
    }

    package static func staleEpoch(expected: Epoch, current: Epoch) -> CatalogError {
        .conflict(current: current, detail: "the catalog is at epoch \(current), not \(expected)")
    }
}

extension CatalogSnapshot {
    /// The next snapshot when the catalog is where the writer believes it is: the compare and the set of every store.
    package func applying(_ change: CatalogChange, expecting expected: Epoch) throws(CatalogError) -> CatalogSnapshot {
        guard expected == epoch else { throw .staleEpoch(expected: expected, current: epoch) }
        do {
            return try applying(change)
        } catch {
            throw CatalogError(error, at: epoch)
        }
    }
}

extension CatalogSnapshot {
    /// Whether this one, from elsewhere, may take the place of `current`: of `CatalogStore.replace`.
    package func checkReplacement(of current: CatalogSnapshot, expecting expected: Epoch) throws(CatalogError) {
        guard expected == current.epoch else { throw .staleEpoch(expected: expected, current: current.epoch) }
        guard epoch > expected, epoch.number < UInt64(Int64.max) else {
            throw .invalid("epoch \(epoch) does not follow epoch \(expected)")
        }
        let versions = databases.values.map(\.version) + shards.values.map(\.version) + tables.values.map(\.version) + users.values.map(\.version)
        guard versions.allSatisfy({ (1...UInt64(Int64.max)).contains($0) }) else { throw .invalid("a record has no version") }
        do {
            try checkInvariants()
        } catch {
            throw CatalogError(error, at: current.epoch)
        }
    }
}

extension CatalogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .conflict(let current, let detail): "conflict at epoch \(current): \(detail)"
        case .invalid(let detail): "invalid: \(detail)"
        case .unavailable(let detail): "unavailable: \(detail)"
        case .unknownOutcome(let detail): "outcome unknown: \(detail)"
        case .fenced(let detail): "fenced: \(detail)"
        case .foreign(let detail): "not a catalog of this version: \(detail)"
        }
    }
}
