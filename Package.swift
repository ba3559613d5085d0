// swift-tools-version: 6.2
import PackageDescription

// The folders under Sources/ are the layers of docs/architecture.md: a target may depend on targets of
// its own layer's folder or of a folder above it in this list, never below. Tests/Tidy checks it.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // docs/decisions/0012-release-flags.md
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

func vocabulary(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Vocabulary/\(name)", swiftSettings: strict)
}
func decision(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Decisions/\(name)", swiftSettings: strict)
}
func adapter(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Adapters/\(name)", swiftSettings: strict)
}
func service(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Services/\(name)", swiftSettings: strict)
}
func support(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Tests/Support/\(name)", swiftSettings: strict)
}
func test(
    _ name: String, in layer: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(layer)/\(name)", exclude: exclude, resources: resources,
        swiftSettings: strict)
}

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
]
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let atomics: Target.Dependency = .product(name: "Atomics", package: "swift-atomics")

let package = Package(
    name: "pgmosaic",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "pgmosaic", targets: ["pgmosaic"]),
        .library(name: "MosaicClient", targets: ["MosaicClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-atomics", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    ],
    targets: [
        // 0 vocabulary
        .systemLibrary(name: "CPGQuery", path: "Sources/Vocabulary/CPGQuery", providers: [.apt(["libpg-query-dev", "libprotobuf-c-dev"])]),
        vocabulary("ShardModel"),
        vocabulary("PGTypes", ["ShardModel"]),
        vocabulary("PGWire", nio + [crypto]),
        vocabulary("SQLSyntax", ["CPGQuery"]),
        vocabulary("ControlAPI", ["ShardModel"]),
        vocabulary("LogicalReplication", nio),
        // 1 decisions
        decision("RoutePlanning", ["ShardModel", "PGTypes", "SQLSyntax", "CPGQuery"]),
        decision("SessionCore", ["ShardModel", "PGTypes", "PGWire", "SQLSyntax", "RoutePlanning"] + nio),
        decision("PoolCore", ["ShardModel"]),
        decision("ReplicaCore", ["PoolCore"]),
        decision("CommitCore", ["ShardModel"]),
        decision("LeaderCore"),
        decision("ReshardCore", ["LogicalReplication", "ShardModel"]),
        decision("ChangeCore", ["LogicalReplication", "PGTypes", "ShardModel"] + nio),
        decision("HealthCore"),
        decision("TransferCore", ["ShardModel", "PGTypes", "PGWire", "RoutePlanning", "SessionCore"] + nio),
        decision("CatalogRecovery", ["ShardModel"]),
        // 2 adapters
        adapter("PGChannel", ["PGWire", "Listening", nioPosix, nioTLS, nioSSL] + nio),
        adapter("ShardTransfer", ["ChangeCore", "LogicalReplication", "PGChannel", "PGTypes", "PGWire", "PostgresProcess", "ShardModel", "TransferCore"] + nio),
        adapter("Listening", [nioPosix, nioSSL] + nio),
        adapter("CatalogStore", ["ShardModel"]),
        adapter("CatalogCopies", ["CatalogRecovery", "CatalogStore", "PGChannel", "PGTypes", "PGWire", "Secrets", "ShardModel"] + nio),
        adapter("CatalogSQLite", ["CatalogStore", "ShardModel", .product(name: "GRDB", package: "GRDB.swift")]),
        adapter("CatalogPostgres", ["CatalogStore", "PGChannel", "PGWire", "ShardModel"] + nio),
        .target(
            name: "CatalogEtcd",
            dependencies: [
                "CatalogStore", "ShardModel", nioPosix, .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"), .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ] + nio,
            path: "Sources/Adapters/CatalogEtcd", exclude: ["Protocol", "Generated/SOURCES"], swiftSettings: strict),
        adapter("Telemetry", ["ControlAPI", log]),
        .target(name: "CSpawn", path: "Sources/Adapters/CSpawn"),
        adapter("PostgresProcess", ["CSpawn"]),
        adapter("LocalCluster", [
            "PostgresProcess", .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
        ] + nio),
        adapter("ServerConfig", ["ControlAPI", "HealthCore", .product(name: "Yams", package: "Yams"), log]),
        // Not "Security": packages ask canImport(Security), and would take it for the framework of that name.
        adapter("Secrets", ["ControlAPI", "ServerConfig", "ShardModel", crypto, cryptoExtras]),
        .target(name: "CReserve", path: "Sources/Adapters/CReserve"),
        adapter("Audit", ["CReserve", "ControlAPI", "ServerConfig", crypto, log]),
        adapter("RESTServer", [
            "Audit", "ControlAPI", "Secrets", "ServerConfig", "ShardModel", "Telemetry", "Listening", crypto, log, httpTypes, .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "HummingbirdCore", package: "hummingbird"), .product(name: "HummingbirdHTTP2", package: "hummingbird"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"), nioPosix, .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOHTTP2", package: "swift-nio-http2"), nioSSL,
        ] + nio),
        // 3 services
        service("RouterService", [
            "ShardModel", "PGTypes", "PGWire", "SQLSyntax", "ControlAPI", "RoutePlanning", "SessionCore", "PoolCore",
            "ReplicaCore", "CommitCore", "PGChannel", "CatalogStore", "Telemetry", "ServerConfig", "Secrets", "Audit", "RESTServer", "Listening",
            nioPosix, nioSSL, log, atomics,
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ] + nio),
        service("ManagerService", [
            "ShardModel", "PGTypes", "ControlAPI", "RoutePlanning", "CommitCore", "LeaderCore", "HealthCore", "ReshardCore", "ChangeCore", "TransferCore", "LogicalReplication",
            "PGWire", "PGChannel", "ShardTransfer", "CatalogStore", "CatalogCopies", "Telemetry", "ServerConfig",
            "Secrets", "Audit", "RESTServer", "Listening", nioPosix, nioSSL, log, httpTypes,
            .product(name: "AsyncHTTPClient", package: "async-http-client"), .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ] + nio),
        service("MosaicClient", [
            "ShardModel", "PGTypes", "PGWire", "SQLSyntax", "CPGQuery", "ControlAPI", "RoutePlanning", "PoolCore", "ReplicaCore", "PGChannel", "CatalogStore",
            "CatalogSQLite", "CatalogPostgres", "CatalogEtcd", "ServerConfig", nioPosix, nioSSL, .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
        ] + nio),
        // 4 executable
        .executableTarget(
            name: "pgmosaic",
            dependencies: [
                "RouterService", "ManagerService", "CatalogEtcd", "CatalogPostgres", "CatalogSQLite", "CatalogStore", "CatalogCopies", "CatalogRecovery", "ControlAPI", "PGChannel", "PGWire",
                "PostgresProcess",
                "LocalCluster", "Audit", "Secrets", "ServerConfig", "ShardModel", "Telemetry", nioPosix, nioSSL, crypto, log,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ] + nio,
            path: "Sources/pgmosaic", swiftSettings: strict),
        // the protocol's tests
        support("PGTestServer", ["PGWire", nioPosix, nioSSL] + nio),
        support("WireFuzzing", ["PGWire", "PGTypes", "RoutePlanning", "SessionCore", "ShardModel"] + nio),
        .executableTarget(name: "WireFuzz", dependencies: ["WireFuzzing"] + nio, path: "Fuzz/WireFuzz", swiftSettings: strict),
        support("RouterFuzzing", [
            "RouterService", "CatalogStore", "CommitCore", "PGChannel", "PGWire", "PoolCore", "RoutePlanning", "ServerConfig", "ShardModel", "WireFuzzing",
            log, nioEmbedded,
        ] + nio),
        .executableTarget(name: "RouterFuzz", dependencies: ["RouterFuzzing"], path: "Fuzz/RouterFuzz", swiftSettings: strict),
        test("PGWireTests", in: "Vocabulary", ["PGWire", "WireFuzzing"] + nio),
        support("ReplicationFuzzing", ["LogicalReplication", "WireFuzzing"] + nio),
        .executableTarget(name: "ReplicationFuzz", dependencies: ["ReplicationFuzzing", "WireFuzzing"] + nio, path: "Fuzz/ReplicationFuzz", swiftSettings: strict),
        test(
            "LogicalReplicationTests", in: "Vocabulary",
            ["LogicalReplication", "PGWire", "PostgresProcess", "ReplicationFuzzing", "TestKit", "WireFuzzing"] + nio),
        test(
            "PGChannelTests", in: "Adapters",
            ["Listening", "PGChannel", "PGWire", "PGTestServer", "PostgresProcess", "WireFuzzing", nioPosix, nioEmbedded, nioSSL] + nio),
        test("SQLSyntaxTests", in: "Vocabulary", ["SQLSyntax", "CPGQuery"]),
        test(
            "RoutePlanningTests", in: "Decisions",
            ["RoutePlanning", "ShardModel", "PGTypes", "SQLSyntax", "CPGQuery", "PostgresProcess"],
            resources: [.copy("Resources")]),
        test(
            "ChangeCoreTests", in: "Decisions",
            ["ChangeCore", "LogicalReplication", "PGTypes", "ReplicationFuzzing", "ShardModel", "TestKit"] + nio),
        support("SimCluster", ["LogicalReplication", "ReshardCore", "ShardModel", "TestKit"]),
        test("ReshardCoreTests", in: "Decisions", ["LogicalReplication", "ReshardCore", "ShardModel", "SimCluster"]),
        test("LeaderCoreTests", in: "Decisions", ["LeaderCore"]),
        test("HealthCoreTests", in: "Decisions", ["HealthCore"]),
        test("CatalogRecoveryTests", in: "Decisions", ["CatalogRecovery", "ShardModel"]),
        test("CommitCoreTests", in: "Decisions", ["CommitCore", "ShardModel", "TestKit"]),
        test("PoolCoreTests", in: "Decisions", ["PoolCore", "TestKit"]),
        test("ReplicaCoreTests", in: "Decisions", ["ReplicaCore", "PoolCore", "TestKit"]),
        test(
            "SessionCoreTests", in: "Decisions", ["SessionCore", "RoutePlanning", "PGTypes", "PGWire", "ShardModel", "TestKit"] + nio,
            resources: [.copy("Resources")]),
        // tests
        support("TestKit"),
        test("ShardModelTests", in: "Vocabulary", ["ShardModel", "TestKit"], resources: [.copy("Resources")]),
        test("PGTypesTests", in: "Vocabulary", ["PGTypes", "ShardModel", "TestKit"], resources: [.copy("Resources")]),
        test("ControlAPITests", in: "Vocabulary", ["ControlAPI", "ShardModel"]),
        support("RESTTestKit", ["ControlAPI", "RESTServer", "PostgresProcess", crypto, cryptoExtras, log, nioPosix, nioSSL, .product(name: "Hummingbird", package: "hummingbird"), .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")] + nio),
        test("AuditTests", in: "Adapters", ["Audit", "ControlAPI", "ServerConfig", crypto, log]),
        test("SecretsTests", in: "Adapters", ["Secrets", "ControlAPI", "RESTTestKit", "ShardModel"]),
        test("RESTServerTests", in: "Adapters", ["RESTServer", "RESTTestKit", "ControlAPI", "Listening", "PostgresProcess", "Secrets", "ServerConfig", "Telemetry", crypto, log, httpTypes]),
        test("ManagerServiceTests", in: "Services", [
            "Audit", "ManagerService", "CatalogStore", "HealthCore", "ShardModel", "ControlAPI", "PGWire", "Secrets", "ServerConfig", "Telemetry", "RESTTestKit", "PostgresProcess",
            "PGChannel", "CatalogSQLite", "ReshardCore", "LogicalReplication", "ShardTransfer", "TransferCore", "TestKit", nioPosix, log,
        ]),
        test("TransferCoreTests", in: "Decisions", ["TransferCore", "PGTypes", "PGWire", "ShardModel", "TestKit"] + nio),
        test("ShardTransferTests", in: "Adapters", ["ShardTransfer", "ChangeCore", "LogicalReplication", "TransferCore", "PGChannel", "PGTypes", "PGWire", "PostgresProcess", "RoutePlanning", "ShardModel", "TestKit", nioPosix] + nio),
        test("PostgresProcessTests", in: "Adapters", ["PostgresProcess"]),
        // benchmarks
        .target(name: "CMurmur3", path: "Benchmarks/Ring/CMurmur3"),
        .executableTarget(
            name: "RingBenchmark", dependencies: ["ShardModel", "CMurmur3"], path: "Benchmarks/Ring/RingBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "CatalogFiller", dependencies: ["CatalogSQLite", "CatalogStore", "ShardModel"], path: "Benchmarks/CatalogFiller",
            swiftSettings: strict),
        .executableTarget(
            name: "CatalogBenchmark",
            dependencies: ["CatalogEtcd", "CatalogPostgres", "CatalogSQLite", "CatalogStore", "PGChannel", "ShardModel", nioPosix],
            path: "Benchmarks/CatalogBenchmark",
            swiftSettings: strict),
        .executableTarget(
            name: "TransferBenchmark", dependencies: ["PGChannel", "ShardModel", "ShardTransfer", "TransferCore", nioPosix],
            path: "Benchmarks/TransferBenchmark", swiftSettings: strict),
        // the repository's own rules
        .testTarget(name: "TidyTests", path: "Tests/Tidy", swiftSettings: strict),
        // the catalog's tests
        support("CatalogConformance", ["CatalogStore", "ShardModel"]),
        .executableTarget(
            name: "CatalogCrasher", dependencies: ["CatalogSQLite", "CatalogStore", "ShardModel"], path: "Tests/Support/CatalogCrasher",
            swiftSettings: strict),
        test("CatalogStoreTests", in: "Adapters", ["CatalogStore", "CatalogConformance", "ShardModel"]),
        test(
            "CatalogSQLiteTests", in: "Adapters",
            ["CatalogCrasher", "CatalogSQLite", "CatalogStore", "CatalogConformance", "ShardModel", .product(name: "GRDB", package: "GRDB.swift")]),
        test("CatalogPostgresTests", in: "Adapters", [
            "CatalogPostgres", "CatalogStore", "CatalogConformance", "PGChannel", "PostgresProcess", "ShardModel", "TestKit", nioPosix,
        ] + nio),
        support("EtcdTestKit", ["CatalogEtcd", "CatalogStore", "PostgresProcess", nioPosix]),
        test("CatalogEtcdTests", in: "Adapters", [
            "CatalogEtcd", "CatalogStore", "CatalogConformance", "EtcdTestKit", "PostgresProcess", "ShardModel", "TestKit", nioPosix, crypto,
        ]),
        test("ServerConfigTests", in: "Adapters", ["ControlAPI", "ServerConfig", log]),
        test("TelemetryTests", in: "Adapters", ["Telemetry", "ControlAPI", log]),
        test("CommandLineTests", in: "Executable", [
            "pgmosaic", "CatalogSQLite", "CatalogStore", "ControlAPI", "EtcdTestKit", "PostgresProcess", "Secrets", "ServerConfig", "ShardModel",
        ]),
        test("DemoTests", in: "System", ["pgmosaic", "ControlAPI", "PostgresProcess", "RESTTestKit", "Telemetry"], exclude: ["schemathesis.toml"]),
        test("FaultTests", in: "System", [
            "ClusterTestKit", "CatalogSQLite", "CatalogStore", "ControlAPI", "PGTestServer", "PGWire", "PostgresProcess", "RESTTestKit", "ServerConfig", "ShardModel",
            "TestKit", "pgmosaic", log, nioPosix,
        ] + nio),
        test("SharedCatalogTests", in: "System", [
            "CatalogEtcd", "CatalogPostgres", "CatalogSQLite", "CatalogStore", "ClusterTestKit", "ControlAPI", "EtcdTestKit", "PGChannel", "PGWire", "PostgresProcess",
            "RESTTestKit", "ShardModel", "TestKit", "pgmosaic", nioPosix,
        ]),
        test("GuideTests", in: "System", ["PostgresProcess", "pgmosaic"]),
        test("SecrecyTests", in: "System", [
            "CatalogStore", "ClusterTestKit", "ControlAPI", "PGChannel", "PostgresProcess", "RESTTestKit", "ShardModel", "pgmosaic", nioPosix,
        ]),
        test(
            "DriverTests", in: "System",
            ["CatalogStore", "ClusterTestKit", "ControlAPI", "PGChannel", "PGWire", "PostgresProcess", "RESTTestKit", "ServerConfig", "ShardModel", nioPosix],
            exclude: ["Drivers"]),
        test(
            "DifferentialTests", in: "System",
            ["CatalogStore", "ClusterTestKit", "PGChannel", "PGWire", "PostgresProcess", "ShardModel", "TestKit", nioPosix] + nio),
        // the router over real shards
        support("ClusterTestKit", [
            "RouterService", "ManagerService", "CatalogStore", "PostgresProcess", "ServerConfig", "ShardModel", log, nioPosix,
        ]),
        test("MosaicClientTests", in: "Services", [
            "MosaicClient", "CatalogStore", "ClusterTestKit", "ControlAPI", "ManagerService", "PostgresProcess", "ServerConfig", "ShardModel", log,
        ]),
        test("RouterServiceTests", in: "Services", [
            "RouterService", "CatalogStore", "ControlAPI", "PGChannel", "PGTypes", "PGWire", "PostgresProcess", "RoutePlanning", "ServerConfig", "ShardModel", "ClusterTestKit",
            "PGTestServer", "RESTTestKit", "RouterFuzzing", "TestKit", nioPosix,
        ] + nio),
    ]
)
