#if DEBUG
internal import PGWire
internal import RoutePlanning
@testable internal import RouterService
internal import ShardModel

/// What the control plane tells the router, and changes while clients are served.
struct WorldCatalog {
    static let primaryPort = 5432
    static let replicaPort = 5433
    private static let shards = 3

    private(set) var snapshot = CatalogSnapshot(epoch: Epoch(1), clusterID: "fuzz")
    private var generation: UInt64 = 1
    private var attempts: UInt64 = 0

    init(hasReplicas: Bool) {
        snapshot.databases["shop"] = DatabaseRecord(name: "shop", vnodeCount: 8, homeShard: ShardID("shard-0"))
        for (number, vnodes) in RingCut.even(over: Self.shards, vnodesEach: 8, after: 0).enumerated() {
            add(shard: number, vnodes, hasReplicas: hasReplicas)
        }
        for (name, placement) in [("t", Placement.sharded(key: "k")), ("r", .reference), ("l", .local)] {
            let table = QualifiedName(schema: "public", name: name)
            snapshot.tables[.init(database: "shop", table: table)] = TableRecord(database: "shop", name: table, placement: placement)
        }
    }

    private mutating func add(shard number: Int, _ vnodes: [VNode], hasReplicas: Bool) {
        let id = ShardID("shard-\(number)")
        snapshot.shards[id] = ShardRecord(
            id: id, name: id.name, database: "shop", primaryEndpoint: Self.endpoint(Self.primaryPort),
            replicas: hasReplicas ? [Self.endpoint(Self.replicaPort)] : [], vnodes: vnodes, slice: number)
    }

    private static func endpoint(_ port: Int, host: String = "127.0.0.1") -> String { "postgres://app@\(host):\(port)/shop?sslmode=disable" }

    mutating func addUser() {
        // One round is enough: the work is the client's.
        let verifier = ScramVerifier.make(password: HostileClient.password, salt: Array(1...16), iterations: 1)
        snapshot.users["alice"] = UserRecord(name: "alice", verifier: verifier.text, roles: [])
    }

    // MARK: Changes

    mutating func change(_ random: inout some RandomNumberGenerator) {
        let id = ShardID("shard-\(Int.random(in: 0..<Self.shards, using: &random))")
        switch Int.random(in: 0..<5, using: &random) {
        case 0: snapshot.shards[id]?.primaryEndpoint = Self.endpoint(Self.primaryPort, host: "127.0.0.\(Int.random(in: 1...9, using: &random))")
        case 1: snapshot.shards[id]?.replicas = []
        case 2: snapshot.shards[id]?.replicas = [Self.endpoint(Self.replicaPort, host: "127.0.0.\(Int.random(in: 1...9, using: &random))")]
        case 3: snapshot.databases["shop"]?.defaultConsistency = Bool.random(using: &random) ? .eventual : .strong
        default: if snapshot.shards.count == Self.shards, Int.random(in: 0..<4, using: &random) == 0 { add(shard: Self.shards, [], hasReplicas: false) }
        }
        advance()
    }

    /// Vnodes begin to change their owner, or have changed it, or have not after all.
    mutating func holdOrRelease(_ random: inout some RandomNumberGenerator) {
        let donors = snapshot.shards.values.filter { !$0.vnodes.isEmpty }.sorted { $0.id < $1.id }
        if let hold = snapshot.holds.values.first {
            if Bool.random(using: &random), let source = hold.owners.first, let target = snapshot.shards.keys.sorted().randomElement(using: &random), target != source {
                let moved = snapshot.shards[source]?.vnodes.filter { hold.ranges.contains($0.range) } ?? []
                snapshot.shards[source]?.vnodes.removeAll { hold.ranges.contains($0.range) }
                snapshot.shards[target]?.vnodes.append(contentsOf: moved)
                snapshot.shards[target]?.vnodes.sort { $0.range.start < $1.range.start }
            }
            release()
        } else if let source = donors.randomElement(using: &random) {
            attempts += 1
            let moved = Bool.random(using: &random) ? source.vnodes : Array(source.vnodes.prefix(1))
            snapshot.jobs["j"] = ReshardJobRecord(id: "j", database: "shop", shards: [source.id], body: "")
            snapshot.holds["j"] = HoldRecord(
                job: "j", database: "shop", ranges: moved.map(\.range), owners: [source.id], attempt: attempts, epoch: snapshot.epoch.next)
            advance()
        }
    }

    mutating func release() {
        snapshot.jobs = [:]
        snapshot.holds = [:]
        advance()
    }

    private mutating func advance() { snapshot.epoch = snapshot.epoch.next }

    /// The database goes, or comes back.
    mutating func dropOrRestore(_ dropped: inout DatabaseRecord?) {
        (snapshot.databases["shop"], dropped) = (dropped, snapshot.databases["shop"])
        advance()
    }

    /// The same schema, read anew as one that may have changed.
    mutating func readSchema() -> LoadedSchema {
        var relations: [QualifiedName: Relation] = [:]
        for name in ["t", "r", "l"] {
            let table = QualifiedName(schema: "public", name: name)
            relations[table] = Relation(
                name: table, columns: [.init(name: "k", typeOID: 20, typeName: "int8"), .init(name: "v", typeOID: 25, typeName: "text")])
        }
        var functions: [QualifiedName: [FunctionInfo]] = [:]
        for (name, volatility, isAggregate) in [
            ("count", FunctionInfo.Volatility.immutable, true), ("pg_advisory_lock", .volatile, false), ("set_config", .volatile, false),
        ] {
            let function = QualifiedName(schema: "pg_catalog", name: name)
            functions[function] = [FunctionInfo(name: function, volatility: volatility, isUserDefined: false, isAggregate: isAggregate)]
        }
        generation += 1
        return LoadedSchema(
            schema: SchemaSnapshot(relations: relations, functions: functions, generation: .committed(generation)),
            parameters: ["TimeZone": "UTC", "server_version": "15.0"])
    }
}
#endif
