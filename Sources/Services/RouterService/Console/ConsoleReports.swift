internal import ControlAPI
internal import NIOCore
internal import PGChannel
internal import PoolCore
internal import ServerConfig
internal import SessionCore
internal import ShardModel

/// The reports of the console. Each loop tells of its own part, between two statements; nothing is shared for it.
struct ConsoleReports: Sendable {
    let shared: RouterShared

    static func columns(_ report: ConsoleCommand.Report) -> [ConsoleTable.Column] {
        switch report {
        case .help: [.text("command"), .text("meaning")]
        case .version: [.text("version")]
        case .databases:
            [.text("name"), .number("shards"), .text("home_shard"), .number("clients"), .number("max_clients"), .number("pool_size"), .number("paused")]
        case .pools:
            [
                .text("database"), .text("shard"), .number("cl_waiting"), .number("sv_active"), .number("sv_idle"), .number("sv_login"),
                .number("sv_closing"), .number("pool_size"), .number("paused"),
            ]
        case .shards: [.text("database"), .text("shard"), .text("host"), .number("port"), .number("vnodes"), .number("home")]
        case .clients:
            [
                .text("user"), .text("database"), .text("state"), .text("transaction"), .text("addr"), .number("port"), .number("tls"),
                .number("connected_s"), .number("prepared"), .text("shards"), .number("pid"), .number("loop"),
            ]
        case .servers:
            [.text("database"), .text("shard"), .text("state"), .text("host"), .number("port"), .number("remote_pid"), .number("client_pid"), .number("loop")]
        case .transactions:
            [
                .text("user"), .text("database"), .text("status"), .text("state"), .number("shards"), .text("touched"), .text("written"), .number("pid"),
                .number("loop"),
            ]
        case .prepared: [.text("user"), .text("database"), .text("name"), .number("pid"), .number("loop")]
        case .stats: [.text("shard"), .number("total_query_count"), .number("total_query_time"), .number("avg_query_time")]
        case .lists: [.text("list"), .number("items")]
        }
    }

    func table(_ report: ConsoleCommand.Report) async -> ConsoleTable {
        switch report {
        case .help: ConsoleTable(rows: Self.help.map { [.text($0.0), .text($0.1)] })
        case .version: ConsoleTable(rows: [[.text("PGMosaic \(BuildVersion.current)")]])
        case .databases: await databases()
        case .pools: await pools()
        case .shards: shards()
        case .clients: await each { loop in loop.sessions.values.map { $0.clientRow(loop) } }
        case .servers: await each { loop in loop.databases.values.flatMap { database in database.allPools.flatMap { $0.serverRows(loop.number) } } }
        case .transactions: await each { loop in loop.sessions.values.compactMap { $0.transactionRow(loop) } }
        case .prepared: await each { loop in loop.sessions.values.flatMap { $0.preparedRows(loop) } }
        case .stats: await stats()
        case .lists: await lists()
        }
    }

    private static let help = [
        ("SHOW DATABASES", "databases, and whether they are paused"), ("SHOW POOLS", "connections to each shard, and who waits for one"),
        ("SHOW SHARDS", "shards, and where they are"), ("SHOW CLIENTS", "connected clients"), ("SHOW SERVERS", "connections to shards, and who has them"),
        ("SHOW TRANSACTIONS", "open transactions, and the shards they touched"), ("SHOW PREPARED", "prepared statements of the protocol, by client"),
        ("SHOW STATS", "statements since the start, by shard; times in microseconds"), ("SHOW LISTS", "how many there are of each"),
        ("SHOW VERSION", "of the router"),
        ("PAUSE [database]", "let no new transaction begin, and wait until those that run have ended; statements wait as long as pool.wait_timeout"),
        ("RESUME [database]", "the opposite"), ("RECONNECT [database]", "replace each connection to a shard as it becomes free"),
        ("RELOAD", "read settings and certificates anew, as SIGHUP does"),
    ]

    /// Rows of every loop, in the order of the loops.
    private func each(_ rows: @escaping @Sendable (RouterLoop) -> [[ConsoleTable.Value]]) async -> ConsoleTable {
        var table = ConsoleTable()
        for loop in shared.allLoops {
            let left = ConsoleTable.rowsMax - table.rows.count
            table.rows += await loop.ask { rows($0) }.prefix(left)
        }
        return table
    }

    private func databases() async -> ConsoleTable {
        var clients: [String: Int] = [:]
        var paused: Set<String> = []
        for loop in shared.allLoops {
            let (names, isPaused) = await loop.ask { loop in
                (
                    loop.sessions.values.filter { !$0.isInternal }.map(\.database.name), loop.databases.values.filter(\.isPaused).map(\.name)
                )
            }
            for name in names { clients[name, default: 0] += 1 }
            paused.formUnion(isPaused)
        }
        let catalog = shared.control.catalog
        let settings = shared.settings
        let names = catalog?.databases.keys.sorted() ?? []
        return ConsoleTable(
            rows: names.map { name in
                let home = catalog?.databases[name]?.homeShard
                return [
                    .text(name), .number(catalog?.shards.values.count { $0.database == name } ?? 0), home.map { .text($0.name) } ?? .null,
                    .number(clients[name] ?? 0), .number(settings.clientsPerDatabaseMax), .number(settings.poolSizeMax), .flag(paused.contains(name)),
                ]
            })
    }

    private struct PoolCounts: Sendable {
        var database: String
        var shard: String
        var counts: [Int]
        var isPaused: Bool
    }

    private func poolCounts() async -> [PoolCounts] {
        var sums: [String: PoolCounts] = [:]
        for loop in shared.allLoops {
            let parts = await loop.ask { loop in
                loop.databases.values.flatMap { database in
                    database.pools.map { pool in
                        let now = pool.statistics
                        return PoolCounts(
                            database: database.name, shard: pool.shardID.name, counts: [now.waiting, now.busy, now.idle, now.connecting, now.closing],
                            isPaused: database.isPaused)
                    }
                }
            }
            for part in parts {
                let key = part.database + "\0" + part.shard
                if let known = sums[key] { sums[key]?.counts = zip(known.counts, part.counts).map { $0 + $1 } } else { sums[key] = part }
            }
        }
        return sums.sorted { $0.key < $1.key }.map(\.value)
    }

    private func pools() async -> ConsoleTable {
        let size = shared.settings.poolSizeMax
        return ConsoleTable(
            rows: await poolCounts().map { pool in
                [.text(pool.database), .text(pool.shard)] + pool.counts.map { .number($0) } + [.number(size), .flag(pool.isPaused)]
            })
    }

    private func shards() -> ConsoleTable {
        guard let catalog = shared.control.catalog else { return ConsoleTable() }
        return ConsoleTable(
            rows: catalog.shards.values.sorted { ($0.database, $0.id.name) < ($1.database, $1.id.name) }.map { shard in
                let (host, port) = (try? PostgresEndpoint.parse(shard.primaryEndpoint))?.shown ?? (.null, .null)
                return [
                    .text(shard.database), .text(shard.id.name), host, port, .number(shard.vnodes.count),
                    .flag(catalog.databases[shard.database]?.homeShard == shard.id),
                ]
            })
    }

    private func stats() async -> ConsoleTable {
        var sums: [String: (count: UInt64, nanoseconds: UInt64)] = [:]
        for loop in shared.allLoops {
            for part in await loop.ask({ $0.metrics.totals }) {
                let known = sums[part.shard] ?? (0, 0)
                sums[part.shard] = (known.count &+ part.count, known.nanoseconds &+ part.nanoseconds)
            }
        }
        return ConsoleTable(
            rows: sums.sorted { $0.key < $1.key }.map { shard, sum in
                let time = sum.nanoseconds / 1000
                return [.text(shard), .counter(sum.count), .counter(time), .counter(sum.count == 0 ? 0 : time / sum.count)]
            })
    }

    private func lists() async -> ConsoleTable {
        var (clients, logins, servers) = (0, 0, 0)
        for loop in shared.allLoops {
            let part = await loop.ask { ($0.clients, $0.pendingLogins.count) }
            clients += part.0
            logins += part.1
        }
        let pools = await poolCounts()
        servers = pools.reduce(0) { $0 + $1.counts.dropFirst().reduce(0, +) }
        let catalog = shared.control.catalog
        return ConsoleTable(
            rows: [
                ("databases", catalog?.databases.count ?? 0), ("shards", catalog?.shards.count ?? 0), ("users", catalog?.users.count ?? 0),
                ("pools", pools.count), ("clients", clients), ("login_clients", logins), ("servers", servers), ("loops", shared.loopCount),
            ].map { [.text($0.0), .number($0.1)] })
    }
}

extension PostgresEndpoint {
    /// Without user, password and parameters.
    var shown: (ConsoleTable.Value, ConsoleTable.Value) {
        switch address {
        case .tcp(let host, let port): (.text(host), .number(port))
        case .unix(let directory, let port): (.text(directory), .number(port))
        }
    }
}

extension ClientSession {
    private func shardNames(_ isWanted: (Participant) -> Bool = { _ in true }) -> ConsoleTable.Value {
        .text(participants.filter(isWanted).map(\.backend.pool.shardID.name).joined(separator: ","))
    }

    fileprivate func clientRow(_ loop: RouterLoop) -> [ConsoleTable.Value] {
        let (address, isEncrypted) = peer
        let age = Int(loop.now.elapsed(since: openedAt).count / 1_000_000_000)
        return [
            .text(user), .text(database.name), .text(stateName), .text(String(UnicodeScalar(transaction.statusByte))),
            isInternal ? .text("rest") : address?.ipAddress.map { .text($0) } ?? .null, address?.port.map { .number($0) } ?? .null, .flag(isEncrypted),
            .number(age), .number(statements.count), shardNames(), .number(Int64(processID)), .number(loop.number),
        ]
    }

    fileprivate func transactionRow(_ loop: RouterLoop) -> [ConsoleTable.Value]? {
        guard !transaction.isIdle else { return nil }
        return [
            .text(user), .text(database.name), .text(transaction.isFailed ? "failed" : "open"), .text(stateName), .number(participants.count), shardNames(),
            shardNames(\.wrote), .number(Int64(processID)), .number(loop.number),
        ]
    }

    /// Without their texts, which may hold values.
    fileprivate func preparedRows(_ loop: RouterLoop) -> [[ConsoleTable.Value]] {
        statements.keys.sorted().map { [.text(user), .text(database.name), .text($0), .number(Int64(processID)), .number(loop.number)] }
    }
}
