internal import CatalogStore
internal import ControlAPI
internal import HTTPTypes

internal import RESTServer
internal import Secrets
internal import ShardModel
internal import Telemetry

extension ManagerAPI {
    static let longPollDefault: UInt64 = 30_000
    static let longPollMax = UInt64(RequestLimits.longPollMilliseconds.upperBound)

    var clusterHandlers: [String: RESTHandler] {
        [
            "GET /api/v1/catalog": { request in try await catalogAnswer(request) },
            "GET /api/v1/routers": { request in
                let catalog = try await writer.load()
                let routers = try await writer.members().filter { $0.kind == "router" }.sorted { $0.id < $1.id }.map {
                    RouterResource(
                        id: $0.id, url: $0.url, wireAddress: $0.wireAddress, epoch: $0.epoch.number, catalogEpoch: catalog.epoch.number,
                        version: $0.version, startedAt: Timestamp(seconds: $0.startedAt))
                }
                return .json(try request.page().page(of: routers, name: \.id))
            },
            "GET /api/v1/managers": { request in .json(try request.page().page(of: try await managers(), name: \.id)) },
            "GET /health": { _ in .json(HealthAnswer(version: BuildVersion.current)) },
            "GET /ready": { _ in
                do {
                    let catalog = try await store.load()
                    return .json(ready(catalog.epoch))
                } catch {
                    return .json(ready(nil), status: 503)
                }
            },
            "GET /metrics": { _ in .text(await registry.render(), contentType: PrometheusText.contentType) },
        ]
    }

    /// A manager that follows is ready as well: it answers reads itself, and passes writes on.
    private func ready(_ epoch: Epoch?) -> ReadyAnswer {
        var answer = ReadyAnswer(ready: epoch != nil, epoch: epoch?.number ?? 0, catalogConnected: epoch != nil, role: .leader)
        if case .follower(let leader)? = writer.election?.role {
            answer.role = .follower
            answer.leader = leader?.url
        }
        return answer
    }

    private func managers() async throws(APIError) -> [ManagerResource] {
        let members = try await writer.members().filter { $0.kind == "manager" }
        let leader: LeaderRecord?
        do {
            leader = try await store.lease(LeaderElection.leaseName).flatMap { LeaderRecord(text: $0.holder) }
        } catch {
            throw CatalogWriter.apiError(error)
        }
        return members.map { member in
            let leads = member.id == leader?.id && member.url == leader?.url
            return ManagerResource(
                id: member.id, url: member.url, role: leads ? .leader : .follower,
                since: Timestamp(seconds: leads ? member.leadsSince ?? member.startedAt : member.startedAt), epoch: member.epoch.number,
                version: member.version, startedAt: Timestamp(seconds: member.startedAt))
        }
    }

    private func catalogAnswer(_ request: RESTRequest) async throws -> RESTAnswer {
        let database = request.query["database"]
        let wait = try request.number("wait_ms") ?? Self.longPollDefault
        guard (1...Self.longPollMax).contains(wait) else {
            throw APIError(.invalidRequest, "wait_ms must be from 1 to \(Self.longPollMax)")
        }
        var catalog = try await writer.load()
        if let database { _ = try Self.database(database, in: catalog) }
        if let after = try request.number("after_epoch"), catalog.epoch.number <= after {
            guard let newer = try await next(after: Epoch(after), within: .milliseconds(Int64(wait))) else {
                return RESTAnswer(status: 304, headers: [Self.etag(catalog.epoch)])
            }
            catalog = newer
        }
        if Self.names(request.headers[.ifNoneMatch], Self.etag(catalog.epoch)) {
            return RESTAnswer(status: 304, headers: [Self.etag(catalog.epoch)])
        }
        let answer = CatalogAnswer(catalog, database: database, redact: EndpointSecrets.redacted)
        return .json(answer, headers: [Self.etag(catalog.epoch)])
    }

    private static func etag(_ epoch: Epoch) -> HTTPField { HTTPField(name: .eTag, value: "\"\(epoch.number)\"") }

    /// Whether an `If-None-Match` has the tag among its own; a weak one counts (RFC 9110, section 13.1.2).
    private static func names(_ condition: String?, _ tag: HTTPField) -> Bool {
        (condition ?? "").split(separator: ",").contains { item in
            let given = item.drop { $0 == " " }.prefix { $0 != " " }
            return given == "*" || (given.hasPrefix("W/") ? given.dropFirst(2) : given) == tag.value
        }
    }

    /// The first snapshot above `epoch`; nil when none came in time or the server shuts down.
    private func next(after epoch: Epoch, within limit: Duration) async throws -> CatalogSnapshot? {
        guard longPolls.enter() else {
            throw APIError(.tooManyRequests, "too many requests wait for a newer catalog", retryAfter: 5)
        }
        defer { longPolls.leave() }
        return await ShutdownAware.value(within: limit) { [store] in
            for await snapshot in store.watch(after: epoch) where snapshot.epoch > epoch { return snapshot }
            return nil
        }
    }
}
