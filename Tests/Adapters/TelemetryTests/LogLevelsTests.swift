import ControlAPI
import Logging
import Telemetry
import Testing

/// The levels are the process's: no other test changes them, and none logs by them.
@Suite(.serialized) struct LogLevelsTests {
    @Test func aLoggersLevelIsItsSubsystemsWhereThatHasOneAndTheProcesssOtherwise() {
        defer { LogLevels.now = LogLevels(level: .info) }
        let plain = Logger(label: "test") { MosaicLogHandler(label: $0, level: nil, sink: LogSink { _ in }) }
        let loggers = LogSubsystem.allCases.map { plain.of($0) }
        for level in Logger.Level.allCases {
            for own in Logger.Level.allCases {
                for chosen in LogSubsystem.allCases {
                    LogLevels.now = LogLevels(level: level, subsystems: [chosen: own])
                    #expect(LogLevels.now == LogLevels(level: level, subsystems: [chosen: own]))
                    #expect(plain.logLevel == level)
                    for (subsystem, logger) in zip(LogSubsystem.allCases, loggers) { #expect(logger.logLevel == (subsystem == chosen ? own : level)) }
                    #expect(plain.of(chosen).of(nil).logLevel == level)
                }
            }
        }
        // A test's logger keeps to what it was given.
        var own = plain.of(.rest)
        own.logLevel = .critical
        LogLevels.now = LogLevels(level: .trace, subsystems: [.rest: .trace])
        #expect(own.logLevel == .critical)
    }

    @Test func changesOfDifferentSubsystemsAtATimeAllCount() async {
        defer { LogLevels.now = LogLevels(level: .info) }
        await withTaskGroup(of: Void.self) { group in
            for subsystem in LogSubsystem.allCases {
                group.addTask {
                    for round in 0..<1000 { _ = LogLevels.change { $0.subsystems[subsystem] = round % 2 == 0 ? .trace : .error } }
                }
            }
        }
        #expect(LogLevels.now.subsystems == Dictionary(uniqueKeysWithValues: LogSubsystem.allCases.map { ($0, .error) }))
    }
}
