import Testing

/// Waits until something holds; fails the test when it does not within the limit.
package func eventually(
    _ what: String, within limit: Duration = .seconds(120), _ location: SourceLocation = #_sourceLocation,
    _ condition: @Sendable () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    var lastError: (any Error)?
    repeat {
        do { if try await condition() { return } } catch { lastError = error }
        try await Task.sleep(for: .milliseconds(50))
    } while ContinuousClock.now < deadline
    Issue.record("\(what): not within \(limit)\(lastError.map { ", last error \($0)" } ?? "")", sourceLocation: location)
    throw EventuallyTimeout(what: what)
}

/// The limit of `eventually` has passed; the test has failed by then.
package struct EventuallyTimeout: Error { package var what: String }
