package import ControlAPI
internal import Hummingbird
package import Logging
package import NIOCore
package import ServerConfig
package import Telemetry

extension RESTApplication {
    /// The listener for health, readiness and metrics: without TLS and tokens, and with nothing else to be had.
    package static func forOperations(
        at address: AccessSettings.Address, routes: [APIRoute], handlers: [String: RESTHandler], metrics: SharedMetrics, sharesPort: Bool = false,
        limits: RESTLimits, group: any EventLoopGroup, logger: Logger
    ) -> RESTApplication {
        let responder = RESTResponder(
            title: "PGMosaic health and metrics", routes: OperationsRoutes.only(routes), handlers: handlers.filter { OperationsRoutes.ids.contains($0.key) },
            bodyMax: 0, metrics: metrics, logger: logger)
        return RESTApplication(
            responder, host: address.host, port: address.port, sharesPort: sharesPort, limits: limits, group: group, logger: logger
        ) { port in
            logger.notice("Health and metrics", metadata: ["url": "http://\(address.host):\(port)"])
        }
    }
}
