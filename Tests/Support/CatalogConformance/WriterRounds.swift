internal import Foundation

/// How often each of many writers writes: once in continuous integration, for with all the others' conflicts each round takes a processor half a minute.
package enum WriterRounds {
    package static func of(_ count: Int) -> Int { ProcessInfo.processInfo.environment["CI"] == nil ? count : 1 }
}
