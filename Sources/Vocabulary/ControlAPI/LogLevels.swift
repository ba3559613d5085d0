/// The parts of a server whose log has a level of its own: the names in `log.levels`, over REST, and of the field `subsystem` of log lines.
///
/// What a server says of itself as a whole, its start and end and its settings, belongs to none of them.
package enum LogSubsystem: String, Codable, Hashable, Sendable, CaseIterable {
    /// Following the catalog, one's place in it, schemas.
    case catalog
    /// Sessions of clients.
    case wire
    /// How far replicas are.
    case replicas
    /// Mending transactions that were interrupted.
    case recovery
    case rest
    case audit
    /// Which of the managers leads.
    case leader
    /// Probes of the shards' servers.
    case health
    /// The catalog's copies on the shards.
    case copies
    /// Jobs that move vnodes.
    case reshard
}

/// The least severe first.
package enum LogLevelName: String, Codable, Hashable, Sendable, CaseIterable { case trace, debug, info, notice, warning, error, critical }

/// GET and PATCH of a server's log levels.
package struct LogLevelsAnswer: Codable, Hashable, Sendable {
    /// Of every subsystem that has none of its own.
    package var level: LogLevelName
    /// By `LogSubsystem`, those that have one.
    package var subsystems: [String: LogLevelName]

    package enum CodingKeys: String, CodingKey, CaseIterable { case level, subsystems }

    package init(level: LogLevelName, subsystems: [String: LogLevelName]) { (self.level, self.subsystems) = (level, subsystems) }
}

/// PATCH of a server's log levels: what is left out stays; null takes a subsystem's own level away.
package struct ChangeLogLevelsRequest: APIRequest, Hashable {
    package var level: LogLevelName?
    /// nil: none of its own from now on.
    package var subsystems: [LogSubsystem: LogLevelName?]

    package enum CodingKeys: String, CodingKey, CaseIterable { case level, subsystems }

    package init(level: LogLevelName? = nil, subsystems: [LogSubsystem: LogLevelName?] = [:]) { (self.level, self.subsystems) = (level, subsystems) }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        level = try container.decodeIfPresent(LogLevelName.self, forKey: .level)
        subsystems = [:]
        for (name, own) in try container.decodeIfPresent([String: LogLevelName?].self, forKey: .subsystems) ?? [:] {
            guard let subsystem = LogSubsystem(rawValue: name) else {
                let known = LogSubsystem.allCases.map(\.rawValue).joined(separator: ", ")
                throw APIError(
                    .unknownField, "unknown field in \"subsystems\"; the subsystems are: \(known)", details: ["field": .string(String(name.prefix(64)))])
            }
            subsystems.updateValue(own, forKey: subsystem)
        }
    }
}
