internal import PGWire
internal import ShardModel

/// What the catalog's users may do, for sessions that are open: a right that is taken away is gone with the next statement.
extension ClientSession {
    func accessChanged() {
        forgetScope()
        privateSchema?.rebase(on: self)
    }

    /// The catalog's users have changed.
    func usersChanged(_ users: [String: UserRecord]) {
        guard followsUsers else { return }
        guard let access = users[user]?.access(to: database.name) else { return cutOff(.accessRevoked(database.name, user: user)) }
        self.access = access
    }
}

extension ServerError {
    static func accessRevoked(_ database: String, user: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .adminShutdown, message: "terminating connection: user \"\(user)\" may no longer use database \"\(database)\"")
    }
}
