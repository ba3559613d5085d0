internal import ControlAPI
internal import Logging

/// `log.levels`: `health=debug,rest=warning`.
enum LogLevelList {
    /// nil: it is no such list.
    static func read(_ text: String) -> [LogSubsystem: Logger.Level]? {
        var levels: [LogSubsystem: Logger.Level] = [:]
        for item in text.split(separator: ",", omittingEmptySubsequences: false) where !text.isEmpty {
            let parts = item.split(separator: "=", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
            guard parts.count == 2, let name = LogSubsystem(rawValue: parts[0]), let level = Logger.Level(rawValue: parts[1]) else { return nil }
            guard levels.updateValue(level, forKey: name) == nil else { return nil }
        }
        return levels
    }

    static func check(_ values: ResolvedSettings) throws(ConfigError) {
        guard read(values.text(SettingsCatalogue.logLevels)) == nil else { return }
        let names = LogSubsystem.allCases.map(\.rawValue).joined(separator: ", ")
        throw ConfigError(SettingsCatalogue.logLevels.name, .inconsistent("must be a list as health=debug,rest=warning, of \(names), each once"))
    }
}
