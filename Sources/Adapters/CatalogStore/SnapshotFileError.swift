/// Why the saved copy of the catalog could not be written or may not be used.
package struct SnapshotFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        /// The file system said no; the text is its reason.
        case system(String)
        case notACopy
        /// Of a format that this version does not know.
        case format(UInt32)
        case truncated
        case damaged
        /// It has no seal, and there is a key to ask for one by.
        case unsealed
        /// Changed by somebody without the key, or written under another one.
        case sealedElsewhere
        case tooLarge
    }
    package var path: String
    package var reason: Reason

    package init(_ reason: Reason, path: String) {
        self.reason = reason
        self.path = path
    }

    package var description: String {
        switch reason {
        case .system(let text): "\(path): \(text)"
        case .notACopy: "\(path) is not a saved copy of a catalog"
        case .format(let number): "\(path) has format \(number), which this version does not know"
        case .truncated: "\(path) is cut off"
        case .damaged: "\(path) is damaged"
        case .unsealed: "\(path) is not sealed by the key of secrets.key_file: it is of an earlier version, or of somebody else"
        case .sealedElsewhere: "\(path) was changed, or sealed by another key than secrets.key_file has"
        case .tooLarge: "\(path) is larger than a copy can be"
        }
    }
}
