/// Operations of the contract that this version does not have yet: they answer 501 `NOT_IMPLEMENTED`, so that a client can tell them from a
/// misspelled path. Not in the OpenAPI documents, which list what is served.
extension RouteCatalogue {
    package static let managerLater: [APIRoute] = [
        later(.post, "/api/v1/shards/{id}/promote", "shards", "Promote a replica"),
        later(.get, "/api/v1/failover/status", "failover", "Whether failover is on, and the shards' state"),
        later(.get, "/api/v1/failover/history", "failover", "Past failovers"),
        later(.post, "/api/v1/failover/enable", "failover", "Turn failover on"),
        later(.post, "/api/v1/failover/disable", "failover", "Turn failover off"),
    ]

    private static func later(_ method: APIRoute.Method, _ path: String, _ tag: String, _ summary: String) -> APIRoute {
        APIRoute(method, path, tag: tag, summary, status: 501, answer: .json(.reference("Error")))
    }
}
