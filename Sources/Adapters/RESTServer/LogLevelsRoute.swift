internal import ControlAPI
internal import Logging
internal import Telemetry

/// GET and PATCH of the process's log levels, for both servers.
package enum LogLevelsRoute {
    /// - path: the server's own.
    package static func handlers(path: String) -> [String: RESTHandler] {
        [
            "GET \(path)": { _ in .json(LogLevels.now.answer) },
            "PATCH \(path)": { request in
                let change = try request.decode(ChangeLogLevelsRequest.self)
                let levels = LogLevels.change { $0.apply(change) }
                // Of no subsystem: a change is told of, however quiet REST is.
                request.logger.of(nil).notice(
                    "Log levels changed",
                    metadata: [
                        "level": "\(levels.level)", "subsystems": .dictionary(levels.answer.subsystems.mapValues { "\($0.rawValue)" }),
                        "user": "\(request.principal?.name ?? "rest")",
                    ])
                return .json(levels.answer)
            },
        ]
    }
}
