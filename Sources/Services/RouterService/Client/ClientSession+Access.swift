internal import PGWire
internal import ShardModel

/// What the catalog's users may do, for sessions that are open: a right that is taken away is gone with the next statement.
extension ClientSession {
    func accessChanged() {
        forgetScope()
        privateSchema?.rebase(on: self)
    }

    /// The catalog's users have changed, or which tokens are void.
    func usersChanged(_ catalog: CatalogSnapshot) {
        guard followsUsers else { return }
        if let token, token.isVoid(in: catalog) { return cutOff(.tokenVoid) }
        let access = token.map { $0.access(to: database.name, in: catalog) } ?? catalog.users[user]?.access(to: database.name)
        guard let access else { return cutOff(.accessRevoked(database.name, user: user)) }
        self.access = access
    }
}

extension ServerError {
    static func accessRevoked(_ database: String, user: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .adminShutdown, message: "terminating connection: user \"\(user)\" may no longer use database \"\(database)\"")
    }
}
