/// Why a secret could not be sealed, opened or found. Never holds a part of one.
package struct SecretError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: String, Hashable, Sendable {
        case keyFileMissing = "the key file does not exist"
        case keyFileOpenToOthers = "the key file can be read by others; its mode must be 0600"
        case keyFileDamaged = "the key file does not hold a key"
        case keyFileUnwritable = "the key file cannot be made"
        case keyFileExists = "there is a file already; a key is never written over"
        case noKey = "a password can only be kept with a key: set secrets.key_file, or refer to the password with env: or file:"
        case sealedElsewhere = "the sealed password does not open: another key (was it rotated? secrets.other_key_files), another server, or damaged"
        case notAnEndpoint = "not of the form postgres://user@host:port/dbname?…"
        case twoPasswords = "two passwords in one endpoint"
        case sealedByClient = "a sealed password cannot be given, only a plain one or a reference"
    }
    package let reason: Reason
    /// The file it is about.
    package let path: String?

    package init(_ reason: Reason, path: String? = nil) {
        self.reason = reason
        self.path = path
    }

    package var description: String { path.map { "\($0): \(reason.rawValue)" } ?? reason.rawValue }
}
