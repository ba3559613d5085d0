internal import PGWire
internal import ShardModel
internal import Synchronization

/// Carries out what the console is asked for.
struct ConsoleActions: Sendable {
    /// Between two looks at what is still open.
    private static let pause = Duration.milliseconds(20)

    let shared: RouterShared

    /// The rows of a report; none for what has none. A cancelled PAUSE stays in force, and only its waiting ends.
    func run(_ command: ConsoleCommand) async throws(ServerError) -> ConsoleTable {
        switch command {
        case .show(let report): return await ConsoleReports(shared: shared).table(report)
        case .pause(let name):
            try await each(name) { $0.pause() }
            try await untilClosed(name)
        case .resume(let name): try await each(name) { $0.resume() }
        case .reconnect(let name): try await each(name) { $0.reconnect() }
        case .reload:
            guard let reloader = shared.reloader.withLock({ $0 }) else { throw .noReload }
            if let problem = await reloader.reload() { throw .reloadFailed(problem) }
        case .politeness, .empty: break
        }
        return ConsoleTable()
    }

    private func each(_ name: String?, _ work: @escaping @Sendable (DatabaseState) -> Void) async throws(ServerError) {
        if let name, shared.control.catalog?.databases[name] == nil {
            throw ServerError(sqlState: .invalidCatalogName, message: "database \"\(name)\" does not exist")
        }
        for loop in shared.allLoops {
            _ = await loop.ask { loop in
                for (known, database) in loop.databases where name == nil || known == name { work(database) }
            }
        }
    }

    /// Waits until no transaction has a connection any more; until somebody resumes, too.
    private func untilClosed(_ name: String?) async throws(ServerError) {
        while true {
            var open = 0
            var isPaused = false
            for loop in shared.allLoops {
                let part = await loop.ask { loop in
                    let databases = loop.databases.values.filter { name == nil || $0.name == name }
                    return (databases.reduce(0) { $0 + $1.openBackends }, databases.contains(where: \.isPaused))
                }
                open += part.0
                isPaused = isPaused || part.1
            }
            if open == 0 { return }
            if !isPaused { throw .pauseEnded }
            do { try await Task.sleep(for: Self.pause) } catch { return }
        }
    }
}

extension ServerError {
    static let noReload = ServerError(sqlState: .objectNotInPrerequisiteState, message: "this router was started without a source of settings")
    static let pauseEnded = ServerError(sqlState: .objectNotInPrerequisiteState, message: "the database was resumed before its transactions had ended")
    static func reloadFailed(_ problem: String) -> ServerError {
        ServerError(sqlState: .configurationLimitExceeded, message: "the settings were not reloaded; those in force stay", detail: problem)
    }
}
