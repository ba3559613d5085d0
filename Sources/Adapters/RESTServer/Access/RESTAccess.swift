package import ControlAPI
package import ServerConfig

/// What the settings say of callers, beside who they are.
package struct RESTAccess: Sendable {
    package var requestsPerAddressMax = 0
    package var requestsPerUserMax = 0
    package var origins: [String] = []
    /// Health, readiness and metrics have a listener of their own, and are not served here.
    package var servesOperations = true

    package init() {}

    package init(_ settings: AccessSettings) {
        requestsPerAddressMax = settings.requestsPerAddressMax
        requestsPerUserMax = settings.requestsPerUserMax
        origins = settings.corsOrigins
        servesOperations = settings.operations == nil || settings.operationsOnMain
    }
}

/// What the listener for health and metrics serves: to whoever reaches it.
package enum OperationsRoutes {
    package static let ids: Set<String> = ["GET /health", "GET /v1/health", "GET /ready", "GET /metrics"]

    /// Those of `routes`, with the document about them.
    package static func only(_ routes: [APIRoute]) -> [APIRoute] { routes.filter { ids.contains($0.id) || $0.id == "GET /openapi.json" } }
}
