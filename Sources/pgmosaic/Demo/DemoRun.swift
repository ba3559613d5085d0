import Foundation
import LocalCluster
import PostgresProcess

/// One run of the demo, from an empty or earlier folder to running processes, and back to none.
struct DemoRun {
    let options: DemoOptions
    let folder: DemoFolder
    let progress: Progress

    /// Returns when the demo has been stopped by a signal.
    func run(until stopped: StopSignal) async throws {
        try options.check()
        try folder.claim()
        let lock = try DemoLock(folder)
        defer { withExtendedLifetime(lock) {} }
        try folder.write(DemoDescription.notReady, to: folder.description)

        let planned = try makePlan()
        let tables = try await tables(of: planned)
        let cluster = LocalCluster(
            planned.cluster, folder: folder.cluster, program: try Self.ownProgram(), durability: .full)
        var isComplete = planned.complete
        do {
            let plan = try await stopped.race { try await bringUp(cluster, planned, tables) }
            isComplete = true
            try await folder.write(description(of: cluster, plan, ready: true), to: folder.description)
            announce(plan)
            await stopped.wait()
            progress.step("stopping")
        } catch is CancellationError {
            progress.step("stopping before the demo was ready")
        } catch {
            await shutDown(cluster)
            throw error
        }
        await shutDown(cluster)
        progress.step(
            isComplete
                ? "stopped; the same command resumes with the data in \(folder.path)" : "stopped; the same command starts anew in \(folder.path)")
    }

    private func makePlan() throws -> DemoPlan {
        var saved = try folder.readPlan()
        if let found = saved, !found.complete {
            progress.step("the last run in \(folder.path) did not finish; starting anew")
            saved = nil
        }
        // Also where there is no plan: data outside the folder may be left from a folder of the same name that is gone.
        if saved == nil { try folder.wipe() }
        let plan = try options.plan(saved: saved, dataRoot: try folder.dataRoot())
        try folder.write(plan, to: folder.plan)
        if saved != nil { progress.step("resuming the demo in \(folder.path)") }
        return plan
    }

    private func tables(of plan: DemoPlan) async throws -> [DemoTable] {
        switch plan.dataset {
        case .none: return []
        case .shop: return ShopData.tables
        case .flights:
            // A resumed demo has its rows already and needs no file.
            if plan.complete { return FlightsData.tables(folder: options.flightsFolder) }
            return FlightsData.tables(folder: try await FlightsFetch.folder(options.flightsFolder, progress: progress))
        }
    }

    /// Answers the plan, complete now.
    private func bringUp(_ cluster: LocalCluster, _ plan: DemoPlan, _ tables: [DemoTable]) async throws -> DemoPlan {
        var plan = plan
        let installation = try PostgresInstallation.find()
        let replicas = plan.cluster.shards.map(\.replicas.count).reduce(0, +)
        let replicated = replicas == 0 ? "" : " and \(replicas) replicas of them"
        let spare = plan.cluster.spares.isEmpty ? "" : ", \(plan.cluster.spares.count) of them to spare,"
        let servers = plan.cluster.shards.count + plan.cluster.spares.count
        progress.step("starting \(servers) PostgreSQL servers\(spare)\(replicated) from \(installation.binDirectory)")
        if let dataRoot = plan.cluster.shards.first?.dataDirectory, !dataRoot.hasPrefix(folder.path) {
            progress.step("their data is in \((dataRoot as NSString).deletingLastPathComponent): PostgreSQL's account may not enter \(folder.path)")
        }
        try await cluster.startShards()
        progress.step("starting the manager on port \(plan.cluster.managerPort)")
        try await cluster.startManager()
        if !plan.complete {
            progress.step("registering database \(plan.cluster.database), its shards and \(tables.count) tables")
            try await cluster.register(tables: tables.map { ($0.name, $0.placement.shardKey) })
        }
        for router in plan.cluster.routers {
            progress.step("starting \(router.id) on ports \(router.wirePort) (PostgreSQL) and \(router.restPort) (REST)")
        }
        try await cluster.startRouters()
        if !plan.complete {
            let loader = DataLoader(plan: plan.cluster, progress: progress)
            let sent = try await loader.load(tables)
            try await loader.verify(tables, sent: sent, on: await cluster.servers)
            try await cluster.registerSpares()
            plan.complete = true
            try folder.write(plan, to: folder.plan)
        }
        return plan
    }

    private func shutDown(_ cluster: LocalCluster) async {
        // Readers must not take a stopped demo for a running one, nor lose the description of what was there.
        try? folder.write(DemoDescription.notReady, to: folder.description)
        await cluster.stop()
    }

    private func description(of cluster: LocalCluster, _ plan: DemoPlan, ready: Bool) async -> DemoDescription {
        var description = DemoDescription(ready: ready, database: plan.cluster.database, dataset: plan.dataset.rawValue, pid: getpid())
        description.dsn = plan.cluster.wireDSN(of: plan.cluster.routers[0])
        description.routers = zip(plan.cluster.routers, await cluster.routers).map { router, process in
            .init(id: router.id, dsn: plan.cluster.wireDSN(of: router), url: plan.cluster.url(of: router), pid: process.pid)
        }
        description.managers = [.init(url: plan.cluster.managerURL, pid: await cluster.manager?.pid ?? 0)]
        description.admin = .init(username: plan.cluster.administrator.username, password: plan.cluster.administrator.password)
        description.spares = []
        for (shard, server) in zip(plan.cluster.spares, await cluster.spares) {
            description.spares?.append(
                .init(
                    id: shard.id, dsn: server.dsn(database: plan.cluster.database), port: server.port, pid: await server.pid ?? 0,
                    dataDir: server.dataDirectory, replicas: []))
        }
        var shards: [DemoDescription.Shard] = []
        for ((shard, server), replicas) in zip(zip(plan.cluster.shards, await cluster.servers), await cluster.replicas) {
            var described: [DemoDescription.Replica] = []
            for replica in replicas {
                described.append(
                    .init(
                        dsn: replica.dsn(database: plan.cluster.database), port: replica.port, pid: await replica.pid ?? 0,
                        dataDir: replica.dataDirectory))
            }
            shards.append(
                .init(
                    id: shard.id, dsn: server.dsn(database: plan.cluster.database), port: server.port, pid: await server.pid ?? 0,
                    dataDir: server.dataDirectory, replicas: described))
        }
        description.shards = shards
        return description
    }

    private func announce(_ plan: DemoPlan) {
        progress.step("ready")
        progress.line(ClosingBlock(plan: plan, folder: folder).text)
    }

    /// The file of this very program, which the routers and the manager are started from.
    static func ownProgram() throws -> String {
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw DemoError("the program's own file was not found in /proc; is /proc mounted?")
        }
        return path
    }
}

extension DemoTable.Placement {
    /// nil for a reference table.
    var shardKey: String? {
        if case .sharded(let key) = self { key } else { nil }
    }
}
