package import ShardModel

extension CatalogError {
    /// A refused change, as the writer is told: a stale version is a conflict, everything else is the change's own fault.
    package init(_ error: CatalogChangeError, at epoch: Epoch) {
        self = error.isConflict ? .conflict(current: epoch, detail: error.description) : .invalid(error.description)
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

extension CatalogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .conflict(let current, let detail): "conflict at epoch \(current): \(detail)"
        case .invalid(let detail): "invalid: \(detail)"
        case .unavailable(let detail): "unavailable: \(detail)"
        case .unknownOutcome(let detail): "outcome unknown: \(detail)"
        case .foreign(let detail): "not a catalog of this version: \(detail)"
        }
    }
}
