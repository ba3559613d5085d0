/// Operations of the contract that this version does not have yet: they answer 501 `NOT_IMPLEMENTED`, so that a client can tell them from a
/// misspelled path. Not in the OpenAPI documents, which list what is served.
extension RouteCatalogue {
    package static let managerLater: [APIRoute] = [
        later(.post, "/api/v1/shards/{id}/promote", "shards", "Promote a replica"),
        later(.post, "/api/v1/reshard/split", "reshard", "Split a shard"),
        later(.post, "/api/v1/reshard/merge", "reshard", "Merge shards"),
        later(.get, "/api/v1/reshard/jobs", "reshard", "The jobs that move data"),
        later(.get, "/api/v1/reshard/jobs/{id}", "reshard", "One job"),
        later(.post, "/api/v1/reshard/jobs/{id}/cancel", "reshard", "Cancel a job"),
        later(.post, "/api/v1/reshard/jobs/{id}/resume", "reshard", "Resume a job"),
        later(.post, "/api/v1/reshard/jobs/{id}/reverse", "reshard", "Undo a job's cutover"),
        later(.post, "/api/v1/reshard/jobs/{id}/finish", "reshard", "End a job for good"),
        later(.get, "/api/v1/failover/status", "failover", "Whether failover is on, and the shards' state"),
        later(.get, "/api/v1/failover/history", "failover", "Past failovers"),
        later(.post, "/api/v1/failover/enable", "failover", "Turn failover on"),
        later(.post, "/api/v1/failover/disable", "failover", "Turn failover off"),
    ]

    private static func later(_ method: APIRoute.Method, _ path: String, _ tag: String, _ summary: String) -> APIRoute {
        APIRoute(method, path, tag: tag, summary, status: 501, answer: .json(.reference("Error")))
    }
}
