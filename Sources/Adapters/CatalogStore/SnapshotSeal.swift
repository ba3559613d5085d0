package import Foundation

/// Proves that a saved copy was written by who has the cluster's key: a checksum is found by everybody, and who could write the file could send statements anywhere.
package struct SnapshotSeal: Sendable {
    /// In bytes.
    package static let length = 32
    package static let purpose = "pgmosaic saved copy"

    let code: @Sendable (Data) -> Data
    let isCode: @Sendable (_ code: Data, _ bytes: Data) -> Bool

    /// - code: of `length` bytes.
    package init(code: @escaping @Sendable (Data) -> Data, isCode: @escaping @Sendable (_ code: Data, _ bytes: Data) -> Bool) {
        self.code = code
        self.isCode = isCode
    }
}
