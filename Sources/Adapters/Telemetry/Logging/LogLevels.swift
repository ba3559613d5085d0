package import ControlAPI
package import Logging
import Synchronization

/// The levels of the process's log: one for all, and for some subsystems one of their own. They may be changed at any moment, from any thread.
///
/// All of them are one word, so that a logger that is asked whether it is on reads one number, and takes no lock.
package struct LogLevels: Hashable, Sendable {
    package var level: Logger.Level
    package var subsystems: [LogSubsystem: Logger.Level]

    package init(level: Logger.Level, subsystems: [LogSubsystem: Logger.Level] = [:]) { (self.level, self.subsystems) = (level, subsystems) }

    /// Four bits each: a level's place among all, or `inherited` for a subsystem without one. The process's own come first.
    private static let current = Atomic(LogLevels(level: .info).word)
    private static let inherited: UInt64 = 0xF
    /// Made once, which `Logger.Level.allCases` does not promise.
    private static let all = Logger.Level.allCases

    /// The process's.
    package static var now: LogLevels {
        get { LogLevels(word: current.load(ordering: .relaxed)) }
        set { current.store(newValue.word, ordering: .relaxed) }
    }

    /// Two that change different ones at a time both have their way. Answers what they are then.
    package static func change(_ body: (inout LogLevels) -> Void) -> LogLevels {
        var word = current.load(ordering: .relaxed)
        while true {
            var levels = LogLevels(word: word)
            body(&levels)
            let (exchanged, original) = current.compareExchange(expected: word, desired: levels.word, ordering: .relaxed)
            if exchanged { return levels }
            word = original
        }
    }

    /// The level that counts for a subsystem, or for what belongs to none.
    static func level(of slot: Int?) -> Logger.Level {
        let word = current.load(ordering: .relaxed)
        let own = slot.map { word >> UInt64(4 * ($0 + 1)) & 0xF } ?? inherited
        return all[Int(own == inherited ? word & 0xF : own)]
    }

    static func slot(of subsystem: LogSubsystem) -> Int? { LogSubsystem.allCases.firstIndex(of: subsystem) }

    private var word: UInt64 {
        precondition(LogSubsystem.allCases.count < 16, "the levels of so many subsystems do not fit into one word")
        var word = Self.place(level)
        for (slot, subsystem) in LogSubsystem.allCases.enumerated() {
            word |= (subsystems[subsystem].map(Self.place) ?? Self.inherited) << UInt64(4 * (slot + 1))
        }
        return word
    }

    private init(word: UInt64) {
        level = Self.all[Int(word & 0xF)]
        subsystems = [:]
        for (slot, subsystem) in LogSubsystem.allCases.enumerated() {
            let own = word >> UInt64(4 * (slot + 1)) & 0xF
            if own != Self.inherited { subsystems[subsystem] = Self.all[Int(own)] }
        }
    }

    private static func place(_ level: Logger.Level) -> UInt64 { UInt64(all.firstIndex(of: level) ?? 2) }
}

extension LogLevels {
    package var answer: LogLevelsAnswer {
        LogLevelsAnswer(
            level: LogLevelName(level), subsystems: Dictionary(uniqueKeysWithValues: subsystems.map { ($0.rawValue, LogLevelName($1)) }))
    }

    /// What the request leaves out stays.
    package mutating func apply(_ request: ChangeLogLevelsRequest) {
        if let level = request.level { self.level = Logger.Level(level) }
        for (subsystem, own) in request.subsystems { subsystems[subsystem] = own.map { Logger.Level($0) } }
    }
}

extension LogLevelName {
    fileprivate init(_ level: Logger.Level) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
    }
}

extension Logger.Level {
    fileprivate init(_ name: LogLevelName) {
        self =
            switch name {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
    }
}

extension Logger {
    /// The same logger as one of a subsystem: its lines say so, and it has that one's level. nil: of none.
    package func of(_ subsystem: LogSubsystem?) -> Logger {
        var logger = self
        logger[metadataKey: MosaicLogHandler.subsystemKey] = subsystem.map { .string($0.rawValue) }
        return logger
    }
}
