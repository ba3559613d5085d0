internal import CatalogStore
internal import Foundation
internal import Logging
internal import ReshardCore
internal import ShardModel
internal import Synchronization
internal import Telemetry

/// What became of an operator's request.
package enum JobAnswer: Hashable, Sendable {
    case accepted, rejected
    /// The job was lost, or given up, before there was an answer.
    case unknown
}

/// Carries out one job, in one leadership: `ReshardMachine` decides, this writes and runs. Lost with its process; another one goes on by the record.
final class JobRunner: Sendable {
    /// Operators that wait for an answer at a time; more are rejected.
    static let questionsMax = 16
    /// The longest pause before a step is tried again.
    static let pauseMax = Duration.seconds(5)

    enum Input: Sendable {
        case finished(EffectID, JobEffects.Result)
        case request(JobRequest, question: UInt64)
    }

    private struct State {
        var shown: StoredJob
        var questions: [UInt64: CheckedContinuation<JobAnswer, Never>] = [:]
        var lastQuestion: UInt64 = 0
        var hasEnded = false
    }

    let effects: JobEffects
    let metrics: SharedMetrics
    let logger: Logger
    private let start: (job: StoredJob, planned: [LedgerEntry], wayBack: [LedgerEntry], catalog: CatalogSnapshot)
    private let state: Mutex<State>
    private let inputs: AsyncStream<Input>
    let feed: AsyncStream<Input>.Continuation
    /// Rings when a pause is to end at once.
    let impatience = Bell()

    init(
        _ job: StoredJob, planned: [LedgerEntry], wayBack: [LedgerEntry], in catalog: CatalogSnapshot, effects: JobEffects, metrics: SharedMetrics, logger: Logger
    ) {
        start = (job, planned, wayBack, catalog)
        self.effects = effects
        self.metrics = metrics
        var logger = logger
        logger[metadataKey: "job"] = "\(job.record.id)"
        self.logger = logger
        state = Mutex(State(shown: job))
        // Bounded by what may be in it: one outcome, and the questions.
        (inputs, feed) = AsyncStream.makeStream(of: Input.self)
    }

    /// As it was written last.
    var shown: StoredJob { state.withLock(\.shown) }
    func show(_ job: StoredJob) { state.withLock { $0.shown = job } }

    /// Until the job is over, another manager's (nil), or the task is cancelled; then nothing of it runs here any more.
    func run() async -> JobEnd? {
        var course = JobCourse(self, start.job, planned: start.planned, wayBack: start.wayBack, in: start.catalog)
        await course.begin()
        if !course.isStopped {
            for await input in inputs {
                await course.take(input)
                if course.isStopped { break }
            }
        }
        await course.end()
        let left = state.withLock { state in
            state.hasEnded = true
            defer { state.questions = [:] }
            return state.questions.values
        }
        for question in left { question.resume(returning: .unknown) }
        return course.result
    }

    /// Answered when the request is persisted, or cannot be fulfilled now.
    func request(_ request: JobRequest) async -> JobAnswer {
        await withCheckedContinuation { continuation in
            let verdict = state.withLock { state -> JobAnswer? in
                if state.hasEnded { return .unknown }
                guard state.questions.count < Self.questionsMax else { return .rejected }
                state.lastQuestion += 1
                state.questions[state.lastQuestion] = continuation
                feed.yield(.request(request, question: state.lastQuestion))
                return nil
            }
            if let verdict { continuation.resume(returning: verdict) }
        }
    }

    func answer(_ question: UInt64, _ answer: JobAnswer) {
        state.withLock { $0.questions.removeValue(forKey: question) }?.resume(returning: answer)
    }
}
