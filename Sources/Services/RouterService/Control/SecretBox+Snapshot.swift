package import CatalogStore
package import Secrets

extension SecretBox {
    /// What the router's saved copies are sealed with: nobody without the cluster's key can have it serve from another one.
    package var snapshotSeal: SnapshotSeal {
        SnapshotSeal {
            code(of: $0, purpose: SnapshotSeal.purpose)
        } isCode: {
            isCode($0, of: $1, purpose: SnapshotSeal.purpose)
        }
    }
}
