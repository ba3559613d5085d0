import ControlAPI
import Testing

@Suite struct RouteCatalogueTests {
    static let servers = [("router", RouteCatalogue.router), ("manager", RouteCatalogue.manager)]

    @Test func anOperationIsListedOnceAndIsEitherServedOrLater() {
        for (server, routes) in Self.servers { #expect(Set(routes.map(\.id)).count == routes.count, "\(server)") }
        #expect(Set(RouteCatalogue.manager.map(\.id)).isDisjoint(with: RouteCatalogue.managerLater.map(\.id)))
    }

    /// What nobody has decided about is closed; what is decided about is there.
    @Test func theTableOfPermissionsHasEveryOperationAndNoOther() {
        let routes = RouteCatalogue.router + RouteCatalogue.manager
        #expect(Set(RoutePermissions.table.keys) == Set(routes.map(\.id)))
    }

    @Test(arguments: [0, 1])
    func theDocumentDescribesExactlyTheRoutes(_ index: Int) throws {
        let routes = Self.servers[index].1
        let document = OpenAPIDocument.make(title: "t", version: "1", routes: routes, asksForTokens: true)
        var described: Set<String> = []
        for path in document["paths"]?.members ?? [] {
            for operation in path.value.members ?? [] { described.insert("\(operation.name.uppercased()) \(path.name)") }
        }
        #expect(described == Set(routes.map(\.id)))
        #expect(document["openapi"]?.stringValue == "3.1.0")
    }

    @Test(arguments: [0, 1])
    func everyReferenceLeadsToASchemaAndEverySchemaIsUsed(_ index: Int) throws {
        let document = OpenAPIDocument.make(title: "t", version: "1", routes: Self.servers[index].1, asksForTokens: true)
        let schemas = Set(document["components"]?["schemas"]?.members?.map(\.name) ?? [])
        var referenced: Set<String> = ["RouteExplanation"]
        func visit(_ value: JSONValue) {
            if let target = value["$ref"]?.stringValue { referenced.insert(String(target.dropFirst("#/components/schemas/".count))) }
            value.members?.forEach { visit($0.value) }
            value.arrayValue?.forEach(visit)
        }
        visit(document)
        #expect(schemas == (index == 0 ? referenced : referenced.subtracting(["RouteExplanation"])))
    }

    @Test(arguments: [0, 1])
    func operationsHaveUniqueIDsAndTheParametersOfTheirPaths(_ index: Int) {
        let routes = Self.servers[index].1
        let document = OpenAPIDocument.make(title: "t", version: "1", routes: routes, asksForTokens: true)
        let ids = routes.compactMap { document["paths"]?[$0.path]?[$0.method.rawValue.lowercased()]?["operationId"]?.stringValue }
        #expect(ids.count == routes.count && Set(ids).count == ids.count)
        for route in routes {
            let parameters = document["paths"]?[route.path]?[route.method.rawValue.lowercased()]?["parameters"]?.arrayValue ?? []
            let inPath = parameters.filter { $0["in"]?.stringValue == "path" }.compactMap { $0["name"]?.stringValue }
            #expect(inPath == route.pathParameters, "\(route.id)")
            #expect((parameters.contains { $0["name"]?.stringValue == "Idempotency-Key" }) == (route.method != .get), "\(route.id)")
        }
    }

    @Test func theDocumentNamesTheStreamOfARouteThatHasOne() {
        let document = OpenAPIDocument.make(title: "t", version: "1", routes: RouteCatalogue.router, asksForTokens: true)
        for route in RouteCatalogue.router {
            let content = document["paths"]?[route.path]?[route.method.rawValue.lowercased()]?["responses"]?["200"]?["content"]
            #expect((content?["application/x-ndjson"] != nil) == route.mayStream, "\(route.id)")
        }
        #expect(document["components"]?["schemas"]?["StreamEnd"] != nil)
    }

    /// A field that a type reads or writes and the document does not list (or the other way round) is a lie to clients.
    @Test func theSchemasHaveTheFieldsOfTheTypes() {
        func keys<Key: CodingKey & CaseIterable>(_ type: Key.Type) -> Set<String> { Set(type.allCases.map(\.stringValue)) }
        let types: [String: Set<String>] = [
            "Health": keys(HealthAnswer.CodingKeys.self), "Ready": keys(ReadyAnswer.CodingKeys.self),
            "Database": keys(DatabaseResource.CodingKeys.self), "CreateDatabase": keys(CreateDatabaseRequest.CodingKeys.self),
            "Table": keys(TableResource.CodingKeys.self), "DeclareTable": keys(DeclareTableRequest.CodingKeys.self),
            "VNode": keys(VNodeResource.CodingKeys.self), "Shard": keys(ShardResource.CodingKeys.self),
            "RegisterShard": keys(RegisterShardRequest.CodingKeys.self), "ShardStatus": keys(ShardStatusRequest.CodingKeys.self),
            "ShardReplicas": keys(ShardReplicasRequest.CodingKeys.self),
            "ShardHealth": keys(ShardHealthAnswer.CodingKeys.self), "ShardStats": keys(ShardStatsAnswer.CodingKeys.self),
            "Catalog": keys(CatalogAnswer.CodingKeys.self), "Router": keys(RouterResource.CodingKeys.self), "Manager": keys(ManagerResource.CodingKeys.self), "ServerHealth": keys(ServerHealthResource.CodingKeys.self),
            "AuditEntry": keys(AuditEntry.CodingKeys.self), "User": keys(UserResource.CodingKeys.self), "Setup": keys(SetupRequest.CodingKeys.self),
            "Login": keys(LoginRequest.CodingKeys.self), "LoginAnswer": keys(LoginAnswer.CodingKeys.self), "Revoke": keys(RevokeRequest.CodingKeys.self),
            "CreateUser": keys(CreateUserRequest.CodingKeys.self), "UpdateUser": keys(UpdateUserRequest.CodingKeys.self),
            "LogLevels": keys(LogLevelsAnswer.CodingKeys.self), "ChangeLogLevels": keys(ChangeLogLevelsRequest.CodingKeys.self),
            "Execute": Set(ExecuteRequest.fields), "Batch": Set(BatchRequest.fields), "ShardForKey": keys(ShardForKeyAnswer.CodingKeys.self),
            "RouteExplanation": keys(RouteExplanation.CodingKeys.self), "StreamHead": Set(StreamLines.headFields),
            "SplitShard": keys(SplitShardRequest.CodingKeys.self), "MergeShards": keys(MergeShardsRequest.CodingKeys.self),
            "EvenShard": keys(EvenShardRequest.CodingKeys.self), "MoveVNodes": keys(MoveVNodesRequest.CodingKeys.self), "ReshardPlan": keys(ReshardPlanAnswer.CodingKeys.self), "Job": keys(JobResource.CodingKeys.self),
            "StreamEnd": Set(StreamLines.endFields + ["notices", "error"]),
        ]
        for (name, fields) in types { #expect(Set(APISchemas.named(name)?.map(\.name) ?? []) == fields, "\(name)") }
        #expect(Set(APISchemas.all.map(\.name)).subtracting(types.keys) == ["Error", "ExecuteAnswer", "BatchAnswer"])
    }
}
