import CatalogStore
import ControlAPI
import RESTTestKit
import ShardModel
import Testing

@Suite struct ClusterRouteTests {
    @Test func theCatalogIsEnoughToRouteByAndItsTagIsTheEpoch() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            try kit.expect(201, await kit.declare("orders", "sharded", key: "id"))
            let answer = try await kit.server.get("/api/v1/catalog")
            let catalog = try await kit.store.load()
            #expect(answer.headers["etag"] == "\"\(catalog.epoch.number)\"")
            #expect(answer.json?["epoch"] == .integer(Int64(catalog.epoch.number)) && answer.json?["cluster_id"] == .string(catalog.clusterID))
            let database = try #require(answer.json?["databases"]?.arrayValue?.first)
            #expect(database["shards"]?.arrayValue?.count == 2 && database["tables"]?.arrayValue?.first?["shard_key"] == "id")
            #expect(!answer.text.contains("SCRAM"))
        }
    }

    @Test func anUnchangedCatalogIsNotSentAgain() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            let tag = try #require(try await kit.server.get("/api/v1/catalog").headers["etag"])
            let same = try await kit.server.get("/api/v1/catalog", headers: [("If-None-Match", tag)])
            #expect(same.status == 304 && same.body.isEmpty && same.headers["etag"] == tag)
            for condition in ["W/\(tag)", "\"0\", \(tag)", "*"] {
                #expect(try await kit.server.get("/api/v1/catalog", headers: [("If-None-Match", condition)]).status == 304, "\(condition)")
            }
            #expect(try await kit.server.get("/api/v1/catalog", headers: [("If-None-Match", "\"0\"")]).status == 200)
            try await kit.makeDatabase("other")
            #expect(try await kit.server.get("/api/v1/catalog", headers: [("If-None-Match", tag)]).status == 200)
        }
    }

    @Test func oneDatabaseMayBeAskedFor() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            try await kit.makeDatabase("other")
            let names = try await kit.server.get("/api/v1/catalog?database=other").json?["databases"]?.arrayValue?.compactMap { $0["database"]?["name"] }
            #expect(names == ["other"])
            #expect(try await kit.server.get("/api/v1/catalog?database=nope").error?.code == .databaseNotFound)
        }
    }

    @Test func aLongPollHearsOfTheNextEpochAtOnce() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            let epoch = try await kit.store.load().epoch.number
            #expect(try await kit.server.get("/api/v1/catalog?after_epoch=\(epoch - 1)").status == 200)
            // Without the news it would answer 304 at the end of its time.
            async let waiting = kit.server.get("/api/v1/catalog?after_epoch=\(epoch)&wait_ms=20000")
            try await Task.sleep(for: .milliseconds(100))
            try await kit.makeDatabase("other")
            #expect(try await waiting.json?["epoch"] == .integer(Int64(epoch + 1)))
        }
    }

    @Test func oneWaiterTooManyIsSentAwayAndAPlaceIsFreeAgainAfterwards() async throws {
        try await ManagerKit.run(longPollsMax: 1) { kit in
            // Comes again when the other one had the place.
            async let waiting = {
                while true {
                    let answer = try await kit.server.get("/api/v1/catalog?after_epoch=0&wait_ms=20000")
                    if answer.status != 429 { return answer }
                }
            }()
            var second = try await kit.server.get("/api/v1/catalog?after_epoch=0&wait_ms=1")
            // Until the first has arrived.
            while second.status == 304 {
                try await Task.sleep(for: .milliseconds(20))
                second = try await kit.server.get("/api/v1/catalog?after_epoch=0&wait_ms=1")
            }
            #expect(second.error?.code == .tooManyRequests && second.headers["retry-after"] == "5")
            try await kit.makeDatabase()
            #expect(try await waiting.status == 200)
            #expect(try await kit.server.get("/api/v1/catalog?after_epoch=1&wait_ms=1").status == 304)
        }
    }

    @Test func aLongPollEndsWhenItsTimeIsOver() async throws {
        try await ManagerKit.run { kit in
            let answer = try await kit.server.get("/api/v1/catalog?after_epoch=0&wait_ms=50")
            #expect(answer.status == 304 && answer.headers["etag"] == "\"0\"")
            let never = try await kit.server.get("/api/v1/catalog?after_epoch=18446744073709551615&wait_ms=1")
            #expect(never.status == 304)
        }
    }

    @Test(arguments: ["after_epoch=-1", "after_epoch=x", "after_epoch=1&wait_ms=0", "after_epoch=1&wait_ms=60001", "wait_ms=", "after_epoch=18446744073709551616"])
    func aWaitOutsideItsBoundsIsRefused(_ query: String) async throws {
        try await ManagerKit.run { kit in
            let answer = try await kit.server.get("/api/v1/catalog?\(query)")
            #expect(answer.error?.code == .invalidRequest)
        }
    }

    @Test func liveRoutersAreShownWithHowFarTheyAreBehind() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            try await kit.makeDatabase("other")
            let router = MemberRecord(
                id: "r1", kind: "router", url: "http://a", wireAddress: "a:1", epoch: Epoch(1), startedAt: 1_700_000_000, version: "0.1.0")
            try await kit.store.announce(router, ttl: .seconds(60))
            try await kit.store.announce(
                MemberRecord(id: "m1", kind: "manager", url: "", wireAddress: "", epoch: Epoch(1), startedAt: 0, version: ""), ttl: .seconds(60))
            let items = try #require(try await kit.server.get("/api/v1/routers").json?["items"]?.arrayValue)
            #expect(items.count == 1 && items[0]["id"] == "r1" && items[0]["epoch_lag"] == 1 && items[0]["wire_address"] == "a:1")
        }
    }

    @Test func theServersOwnPathsAnswer() async throws {
        try await ManagerKit.run { kit in
            #expect(try await kit.server.get("/health").json == ["status": "ok", "version": .string(BuildVersion.current)])
            let ready = try await kit.server.get("/ready")
            #expect(ready.status == 200 && ready.json?["ready"] == true && ready.json?["catalog_connected"] == true && ready.json?["shards"] == [])
            #expect(try await kit.server.get("/metrics").headers["content-type"]?.hasPrefix("text/plain") == true)
            #expect(try await kit.server.get("/openapi.json").json?["paths"]?.members?.count ?? 0 > 10)
        }
    }

    @Test func whatALaterVersionWillHaveIsNotImplemented() async throws {
        try await ManagerKit.run { kit in
            for route in RouteCatalogue.managerLater {
                let answer = try await RawHTTP.send(route.method.rawValue, route.path.replacing("{id}", with: "x"), port: kit.server.port)
                #expect(answer.status == 501 && answer.error?.code == .notImplemented, "\(route.id): \(answer.text)")
            }
        }
    }

    /// A reader of the catalogue may rely on it: each operation answers, and never with 404 of the path, 405 or 500.
    @Test func everyRouteIsServed() async throws {
        try await ManagerKit.run { kit in
            for route in RouteCatalogue.manager {
                let path = route.path.replacing("{name}", with: "x").replacing("{id}", with: "x").replacing("{table}", with: "x")
                let answer = try await RawHTTP.send(
                    route.method.rawValue, path, port: kit.server.port, headers: [("Content-Type", "application/json")],
                    body: route.request == nil ? [] : Array("{}".utf8))
                #expect(![405, 500, 501].contains(answer.status), "\(route.id): \(answer.text)")
                #expect((answer.error?.code != .notFound || route.path == "/api/v1/audit"), "\(route.id)")
            }
        }
    }
}

@Suite struct HostileBodyTests {
    @Test func whatIsNoCleanJSONObjectIsRefusedOnEveryRouteWithABody() async throws {
        try await ManagerKit.run { kit in
            let bodies: [(String, APIErrorCode)] = [
                ("", .invalidJSON), ("{", .invalidJSON), ("[]", .invalidJSON), ("null", .invalidJSON), (#"{"a":1,"a":2}"#, .invalidJSON),
                (String(repeating: "[", count: 50_000), .invalidJSON), (#"{"x":"# + String(repeating: "[", count: 100), .invalidJSON),
                ("{\"a\":\"\u{1}\"}", .invalidJSON), (#"{"surprise":1}"#, .unknownField), ("{}", .invalidRequest),
            ]
            for route in RouteCatalogue.manager where route.request != nil {
                let path = route.path.replacing("{name}", with: "x").replacing("{id}", with: "x")
                // A PATCH may leave all as it is.
                for (body, code) in bodies where body != "{}" || route.method != .patch {
                    let answer = try await RawHTTP.send(
                        route.method.rawValue, path, port: kit.server.port, headers: [("Content-Type", "application/json"), ("Content-Length", "\(body.utf8.count)")],
                        body: Array(body.utf8))
                    #expect(answer.error?.code == code, "\(route.id) with \(body.prefix(20)): \(answer.text)")
                }
                let long = try await RawHTTP.send(
                    route.method.rawValue, path, port: kit.server.port, headers: [("Content-Type", "application/json")],
                    body: Array(repeating: 0x20, count: 100_001))
                #expect(long.error?.code == .bodyTooLarge, "\(route.id)")
                let form = try await RawHTTP.send(route.method.rawValue, path, port: kit.server.port, headers: [("Content-Type", "text/plain")], body: [0x7B, 0x7D])
                #expect(form.error?.code == .unsupportedMediaType, "\(route.id)")
            }
        }
    }
}
