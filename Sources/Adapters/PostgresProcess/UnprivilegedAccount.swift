import Foundation

/// The account that PostgreSQL's programs run under when this process is root, which PostgreSQL refuses to be.
package struct UnprivilegedAccount: Equatable, Sendable {
    package var name: String
    package var userID: UInt32
    package var groupID: UInt32

    /// The account to change to: `postgres`, else `nobody`; nil when this process is not root and stays what it is.
    package static func needed() throws(PostgresProcessError) -> UnprivilegedAccount? {
        guard geteuid() == 0 else { return nil }
        for name in ["postgres", "nobody"] {
            if let account = UnprivilegedAccount(named: name) { return account }
        }
        throw .noUnprivilegedAccount
    }

    /// Nil when the machine has no such account.
    package init?(named name: String) {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getpwnam_r(name, &record, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        self.name = name
        self.userID = record.pw_uid
        self.groupID = record.pw_gid
    }

    /// The words before a command line that make it run as this account. setpriv is part of Debian's util-linux, which is essential.
    var commandPrefix: [String] {
        ["setpriv", "--reuid=\(userID)", "--regid=\(groupID)", "--clear-groups", "--"]
    }

    /// Makes a folder and what is in it this account's.
    func own(_ path: String) throws(PostgresProcessError) {
        var paths = [path]
        if let inside = FileManager.default.enumerator(atPath: path) {
            for case let name as String in inside { paths.append(path + "/" + name) }
        }
        for item in paths where lchown(item, userID, groupID) != 0 {
            throw .folderUnusable(path: item, reason: "its owner cannot be changed to \(name)")
        }
    }

    /// The first folder on the way to `path` that this account may not enter; nil when it can reach `path`.
    ///
    /// Looks at the mode bits for others and at the owner only: an access list would make it err on the safe side.
    package func barrier(to path: String) -> String? {
        var current = ""
        for part in path.split(separator: "/").dropLast() {
            current += "/" + part
            var status = stat()
            guard stat(current, &status) == 0 else { return nil }
            let bit: UInt32 =
                status.st_uid == userID ? 0o100 : status.st_gid == groupID ? 0o010 : 0o001
            if status.st_mode & bit == 0 { return current }
        }
        return nil
    }
}
