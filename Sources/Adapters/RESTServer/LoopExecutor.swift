internal import NIOCore

/// Runs tasks on an event loop: what they wait for comes from there, and each change of thread costs more than most of what they do.
final class LoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

extension RESTRequest {
    /// Runs `operation` away from the event loop of its connection: what takes long there holds up all of the loop's connections.
    package static func offLoop<Value: Sendable>(_ operation: @Sendable () async throws -> Value) async throws -> Value {
        try await withTaskExecutorPreference(globalConcurrentExecutor) { try await operation() }
    }
}
