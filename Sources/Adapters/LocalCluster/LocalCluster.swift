import Foundation
import PostgresProcess

/// PostgreSQL servers, a manager and routers as processes of this machine, which end with this process.
///
/// The demo and the integration tests both stand on it, so that what is tested is what is shown.
package actor LocalCluster {
    package nonisolated let plan: ClusterPlan
    package nonisolated let folder: ClusterFolder
    /// The pgmosaic program.
    nonisolated let program: String
    nonisolated let durability: PostgresServerOptions.Durability
    nonisolated let extraSettings: [String: String]

    package private(set) var servers: [PostgresServer] = []
    package private(set) var spares: [PostgresServer] = []
    /// Of each server, in the same order.
    package private(set) var replicas: [[PostgresServer]] = []
    package private(set) var manager: SupervisedProcess?
    package private(set) var routers: [SupervisedProcess] = []

    package init(
        _ plan: ClusterPlan, folder: ClusterFolder, program: String, durability: PostgresServerOptions.Durability,
        settings: [String: String] = [:]
    ) {
        self.plan = plan
        self.folder = folder
        self.program = program
        self.durability = durability
        self.extraSettings = settings
    }

    package nonisolated var api: ManagerAPI { ManagerAPI(baseURL: plan.managerURL) }

    /// Makes the shards' folders where they are missing, and starts them all at once.
    ///
    /// Throws the first failure; `stop` then ends those that came up.
    package func startShards() async throws {
        try folder.make()
        servers = try plan.shards.map { try PostgresServer(serverOptions($0)) }
        spares = try plan.spares.map { try PostgresServer(serverOptions($0)) }
        let database = plan.database
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers + spares {
                group.addTask {
                    let isNew = !server.isPrepared
                    try await server.prepare()
                    try Task.checkCancellation()
                    try await server.start()
                    if isNew { try await server.createDatabase(database) }
                }
            }
            try await group.waitForAll()
        }
        try await startReplicas()
    }

    /// Copies those that are missing from their primaries, which run.
    private func startReplicas() async throws {
        replicas = servers.map { _ in [] }
        try await withThrowingTaskGroup(of: (shard: Int, number: Int, server: PostgresServer).self) { group in
            for (shard, plan) in plan.shards.enumerated() {
                for (number, replica) in plan.replicas.enumerated() {
                    let (primary, options) = (servers[shard], replicaOptions(replica, number, of: plan))
                    group.addTask {
                        (shard, number, try await primary.createReplica(options, slot: "pgmosaic_replica_\(number + 1)"))
                    }
                }
            }
            var started: [(shard: Int, number: Int, server: PostgresServer)] = []
            var failure: (any Error)?
            // Every one of them, also where another one failed: `stop` ends those that came up.
            while let result = await group.nextResult() {
                do {
                    started.append(try result.get())
                } catch {
                    failure = failure ?? error
                    group.cancelAll()
                }
            }
            for (shard, _, server) in started.sorted(by: { $0.number < $1.number }) { replicas[shard].append(server) }
            if let failure { throw failure }
        }
    }

    package func startManager() async throws {
        manager = try await launch("manager", "manager", ServerConfigFiles.manager(plan, in: folder), readyURL: plan.managerURL)
    }

    package func startRouters() async throws {
        for router in plan.routers { routers.append(try await start(router)) }
    }

    /// Ends the manager, by SIGKILL when `killing`, and leaves it down until `startManager`.
    package func stopManager(killing: Bool = false) async {
        await manager?.terminate(killing ? SIGKILL : SIGTERM)
        manager = nil
    }

    /// Ends one router, by SIGKILL when `killing`, and starts it again on the same ports.
    package func restartRouter(_ index: Int, killing: Bool = false) async throws {
        await routers[index].terminate(killing ? SIGKILL : SIGTERM)
        routers[index] = try await start(plan.routers[index])
    }

    private func start(_ router: ClusterPlan.Router) async throws -> SupervisedProcess {
        try await launch("router", router.id, ServerConfigFiles.router(router, plan, in: folder), readyURL: plan.url(of: router))
    }

    /// Tells the manager of the administrator, the database, its shards and the placement of tables. For a new catalog.
    package func register(tables: [(name: String, shardKey: String?)]) async throws {
        _ = try await api.setUp(plan.administrator)
        try await api.createDatabase(plan.database)
        for (index, (shard, server)) in zip(plan.shards, servers).enumerated() {
            let replicas = replicas[index].map { $0.dsn(database: plan.database) }
            try await api.createShard(
                id: shard.id, database: plan.database, endpoint: server.dsn(database: plan.database), replicas: replicas)
        }
        for table in tables {
            try await api.placeTable(table.name, database: plan.database, shardKey: table.shardKey)
        }
    }

    /// Lets the spare servers join the database. Once it has tables: before that, a new shard owns vnodes at once.
    package func registerSpares() async throws {
        for (shard, server) in zip(plan.spares, spares) {
            try await api.createShard(id: shard.id, database: plan.database, endpoint: server.dsn(database: plan.database))
        }
    }

    /// Stops routers, then the manager, then the servers. Nothing of the cluster runs when it returns.
    package func stop() async {
        await withTaskGroup(of: Void.self) { group in
            for router in routers { group.addTask { await router.terminate(grace: .seconds(15)) } }
        }
        await manager?.terminate(grace: .seconds(15))
        await withTaskGroup(of: Void.self) { group in
            for server in servers + spares + replicas.joined() { group.addTask { await server.stop(.fast) } }
        }
        routers = []
        manager = nil
        servers = []
        spares = []
        replicas = []
    }

    private func serverOptions(_ shard: ClusterPlan.Shard) -> PostgresServerOptions {
        PostgresServerOptions(
            dataDirectory: shard.dataDirectory, port: shard.port, password: plan.shardPassword, authentication: .scram,
            durability: durability, settings: extraSettings, logFile: folder.log(of: shard.id))
    }

    private func replicaOptions(_ replica: ClusterPlan.Replica, _ number: Int, of shard: ClusterPlan.Shard) -> PostgresServerOptions {
        var options = serverOptions(shard)
        options.dataDirectory = replica.dataDirectory
        options.port = replica.port
        options.logFile = folder.log(of: "\(shard.id)-replica-\(number + 1)")
        return options
    }

    private func launch(_ command: String, _ name: String, _ config: String, readyURL: String) async throws -> SupervisedProcess {
        let file = folder.configFile(of: name)
        let log = folder.log(of: name)
        try ClusterFolder.write(Data(config.utf8), to: file)
        let process = try SupervisedProcess.start(
            .init(program, [command, "--config", file], workingDirectory: folder.path, output: .file(log)))
        do {
            try await waitUntilReady(process, name, at: readyURL, log: log)
        } catch {
            await process.terminate()
            throw error
        }
        return process
    }

    private func waitUntilReady(
        _ process: SupervisedProcess, _ name: String, at url: String, log: String, limit: Duration = .seconds(60)
    ) async throws {
        let deadline = ContinuousClock.now + limit
        let server = ManagerAPI(baseURL: url)
        while true {
            var last = "no answer yet"
            do throws(ClusterError) {
                let answer = try await server.get("/ready")
                if answer.status == 200 { return }
                last = answer.body
            } catch {
                last = error.description
            }
            if let status = process.exitStatus {
                throw ClusterError.ended(process: name, status: status, message: Self.lastLine(of: log), log: log)
            }
            guard ContinuousClock.now < deadline else {
                throw ClusterError.notReady(process: name, after: limit, answer: last, log: log)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private static func lastLine(of file: String) -> String {
        let text = FileManager.default.contents(atPath: file).map { String(decoding: $0.suffix(4096), as: UTF8.self) } ?? ""
        return text.split(separator: "\n").last.map(String.init) ?? "it wrote nothing"
    }
}
