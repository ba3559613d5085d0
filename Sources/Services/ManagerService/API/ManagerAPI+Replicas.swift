internal import ControlAPI
internal import PGChannel
internal import RESTServer
internal import Secrets
internal import ShardModel

/// The replicas of a shard: checked when they are named. Whether one may be read from at a moment is for each router to find out.
extension ManagerAPI {
    /// Replaces the list. An entry that is written as the API shows it, its password hidden, stays as it is kept.
    func changeReplicas(_ request: RESTRequest) async throws -> RESTAnswer {
        let (id, body) = (request.parameter("id"), try request.decode(ShardReplicasRequest.self))
        let before = try Self.shard(id, in: try await writer.load())
        let endpoints = body.replicas.map { given in before.replicas.first { EndpointSecrets.redacted($0) == given } ?? given }
        let replicas = try replicas(endpoints, of: before.primaryEndpoint, kept: Set(before.replicas))
        let inspection: ShardInspection
        do {
            inspection = try await inspector.inspect(before.primaryEndpoint)
        } catch {
            throw Self.apiError(error, at: before)
        }
        try await checkReplicas(replicas.filter { !before.replicas.contains($0) }, of: before, inspection)
        return try await change(request) { .json($0) } _: { catalog in
            var record = try Self.shard(id, in: catalog)
            try Self.check(version: body.version, is: record.version, "the shard", Self.resource(record, in: catalog))
            record.replicas = replicas
            record.updatedAt = now()
            let changed = record
            return CatalogWriter.Decision(operations: [.putShard(changed)]) { after in
                Self.resource(after.shards[changed.id] ?? changed, in: after)
            }
        }
    }

    /// The endpoints as the catalog keeps them; those in `kept` are in that form already.
    func replicas(_ endpoints: [String], of primary: String, kept: Set<String> = []) throws(APIError) -> [String] {
        guard RequestLimits.replicas.contains(endpoints.count) else {
            throw APIError(.invalidRequest, "at most \(RequestLimits.replicas.upperBound) replicas")
        }
        var addresses = Set([primary].compactMap { try? PostgresEndpoint.parse($0).address })
        return try endpoints.map { (endpoint) throws(APIError) in
            let sealed = kept.contains(endpoint) ? endpoint : try sealed(endpoint)
            guard let address = try? PostgresEndpoint.parse(sealed).address, addresses.insert(address).inserted else {
                throw APIError(.invalidRequest, "a replica has the address of the primary, or of another replica")
            }
            return sealed
        }
    }

    /// All at once: one that hangs costs no more than the limit of one probe.
    func checkReplicas(_ replicas: [String], of shard: ShardRecord, _ primary: ShardInspection) async throws(APIError) {
        let problems = await withTaskGroup(of: (Int, APIError?).self) { group in
            for (index, endpoint) in replicas.enumerated() { group.addTask { (index, await problem(endpoint, primary)) } }
            var problems: [Int: APIError] = [:]
            for await (index, problem) in group { problems[index] = problem }
            return problems
        }
        guard let first = problems.keys.min(), var error = problems[first] else { return }
        error.details = ["replica": .string(EndpointSecrets.redacted(replicas[first]))]
        throw error
    }

    private func problem(_ endpoint: String, _ primary: ShardInspection) async -> APIError? {
        do {
            let replica = try await inspector.inspect(endpoint)
            guard replica.inRecovery else {
                return APIError(.shardUnsuitable, "a server named as a replica is none: it is not in recovery (pg_is_in_recovery)")
            }
            guard replica.systemIdentifier == primary.systemIdentifier else {
                return APIError(.shardUnsuitable, "a server named as a replica is one of another primary: its system identifier differs")
            }
            return nil
        } catch {
            var answer = error.apiError
            answer.message = "a replica: \(answer.message)"
            return answer
        }
    }
}
