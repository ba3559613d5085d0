internal import Dispatch
internal import Foundation
package import Logging
package import ServerConfig
internal import Synchronization

/// The trail of one server process: takes events from any thread, and writes them one after the other on a thread of its own, which no event loop waits for.
///
/// What cannot be written is handled as the settings say. `refuse`: `isClosed` turns true, and who is about to do what must be audited asks it before; lines that
/// were let in before wait in memory until there is room. `drop`: they are counted, and the next line that has room tells how many.
package final class AuditTrail: Sendable {
    private struct State {
        var queue: [(event: AuditEvent, time: Double)] = []
        /// Events that were taken, and events whose line is written or given up.
        var taken: UInt64 = 0
        var settled: UInt64 = 0
        var written: UInt64 = 0
        var dropped: UInt64 = 0
        var droppedSinceReport: UInt64 = 0
        var isScheduled = false
        /// While there is one the writer tries again after a pause, and `isScheduled`.
        var failure: AuditError?
        var isRetrying = false
        var isEnded = false
        var waiting: [(upTo: UInt64, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private static let batchMax = 256
    private static let retryPause = DispatchTimeInterval.seconds(1)
    private static let syncPause = DispatchTimeInterval.seconds(1)

    private let state = Mutex(State())
    /// Touched by the writer's queue only; the lock is never waited for.
    private let file: Mutex<AuditFile>
    private let queue = DispatchQueue(label: "pgmosaic.audit")
    private let settings: AuditSettings
    private let logger: Logger
    /// What `isClosed` says, for event loops: read without a lock.
    private let closed = Atomic(false)
    private let hasUnsynced = Atomic(false)
    private let now: @Sendable () -> Double
    /// The file that is written to: one of the names that the setting stands for.
    package let path: String

    /// The trail that the settings ask for; nil: none.
    ///
    /// - key: 32 bytes, for lines that only its owner can make.
    package static func open(_ settings: AuditSettings, server: String, key: [UInt8]?, logger: Logger) throws(AuditError) -> AuditTrail? {
        guard let path = settings.path else { return nil }
        return try AuditTrail(path: path, settings, server: server, key: key, logger: logger)
    }

    package init(
        path: String, _ settings: AuditSettings, server: String, key: [UInt8]? = nil, logger: Logger,
        now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
    ) throws(AuditError) {
        let limits = AuditFile.Limits(fileMax: settings.fileMax, ageMax: settings.ageMax, filesMax: settings.filesMax)
        let file = try AuditFile(path: path, server: server, key: key, limits: limits, now: now())
        self.path = file.names.path
        self.settings = settings
        self.logger = logger
        self.now = now
        let findings = file.findings
        self.file = Mutex(file)
        for finding in findings {
            logger.warning("The audit trail was not whole when it was opened", metadata: ["finding": "\(finding.action)", "count": "\(finding.count ?? 0)"])
            record(finding)
        }
        record(AuditEvent(AuditEvent.Own.opened, object: self.path))
        // A server that could not audit its first login says so at its start, not then.
        queue.sync { drain() }
        if settings.whenFull == .refuse, let failure = state.withLock({ $0.failure }) {
            close()
            throw failure
        }
    }

    /// What must be audited may not be done now: nobody could tell of it. Never where the settings say to drop.
    package var isClosed: Bool { closed.load(ordering: .relaxed) }

    package func record(_ event: AuditEvent) {
        let time = now()
        let mustSchedule = state.withLock { state in
            guard state.queue.count < settings.queueMax, !state.isEnded else {
                state.dropped += 1
                state.droppedSinceReport += 1
                return false
            }
            state.queue.append((event, time))
            state.taken += 1
            if settings.whenFull == .refuse, state.queue.count >= settings.queueMax * 3 / 4 { closed.store(true, ordering: .relaxed) }
            // While it fails the retry sees to it.
            guard !state.isScheduled else { return false }
            state.isScheduled = true
            return true
        }
        if mustSchedule { queue.async { self.drain() } }
    }

    /// Waits until what was recorded before is written, or cannot be. With `audit.sync` `always`: until it is on the disk.
    package func settle() async {
        await withCheckedContinuation { continuation in
            let isSettled = state.withLock { state in
                if state.settled >= state.taken || state.failure != nil || state.isEnded { return true }
                state.waiting.append((state.taken, continuation))
                return false
            }
            if isSettled { continuation.resume() }
        }
    }

    /// Whether an answer must wait for its line.
    package var answersWait: Bool { settings.sync == .always }

    /// The last line, and the end. What is recorded afterwards is lost.
    package func close() {
        record(AuditEvent(AuditEvent.Own.closed, object: path))
        queue.sync {
            let wasEnded = state.withLock { $0.isEnded }
            guard !wasEnded else { return }
            drain()
            state.withLock { $0.isEnded = true }
            file.withLock { file in
                if settings.sync != .never { try? file.sync() }
                file.close()
            }
            let (left, waiting) = state.withLock { state in
                defer { state.waiting.removeAll() }
                return (state.queue.count, state.waiting)
            }
            if left > 0 { logger.critical("The audit trail ends without its last lines", metadata: ["lines": "\(left)"]) }
            for waiter in waiting { waiter.continuation.resume() }
        }
    }

    /// For metrics.
    package var figures: (written: UInt64, dropped: UInt64, isFailing: Bool) {
        state.withLock { ($0.written, $0.dropped, $0.failure != nil) }
    }

    // MARK: The writer

    /// Writes what waits. On the writer's queue.
    private func drain() {
        while true {
            let batch = state.withLock { state -> [(event: AuditEvent, time: Double)] in
                guard !state.isEnded else { return [] }
                let batch = Array(state.queue.prefix(Self.batchMax))
                if batch.isEmpty { state.isScheduled = false }
                return batch
            }
            guard !batch.isEmpty else { return recovered(probing: true) }
            guard write(batch) else { return }
        }
    }

    /// False: it failed, and somebody will try again.
    private func write(_ batch: [(event: AuditEvent, time: Double)]) -> Bool {
        let dropped = state.withLock { $0.droppedSinceReport }
        let report = dropped == 0 ? [] : [(event: AuditEvent(AuditEvent.Own.dropped, .failed, count: dropped), time: now())]
        /// The lines are written, and there is trouble all the same.
        let trouble: AuditError?
        do throws(AuditError) {
            trouble = try file.withLock { (file) throws(AuditError) in
                let noRoom = settings.whenFull == .refuse ? Self.failure(of: { () throws(AuditError) in try file.reserve() }) : nil
                try file.append(report + batch, now: now())
                return settings.sync == .always ? Self.failure(of: { () throws(AuditError) in try file.sync() }) ?? noRoom : noRoom
            }
        } catch {
            failed(error, unwritten: batch.count)
            return false
        }
        settle(batch, dropped)
        if let trouble {
            failed(trouble, unwritten: 0)
            return false
        }
        recovered(probing: false)
        scheduleSync()
        return true
    }

    private static func failure(of work: () throws(AuditError) -> Void) -> AuditError? {
        do throws(AuditError) {
            try work()
            return nil
        } catch {
            return error
        }
    }

    private func settle(_ batch: [(event: AuditEvent, time: Double)], _ dropped: UInt64) {
        let ready = state.withLock { state in
            state.queue.removeFirst(batch.count)
            state.written += UInt64(batch.count)
            state.settled += UInt64(batch.count)
            state.droppedSinceReport -= dropped
            return Self.takeReady(&state)
        }
        for continuation in ready { continuation.resume() }
    }

    private static func takeReady(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
        let limit = state.failure == nil ? state.settled : .max
        let ready = state.waiting.filter { $0.upTo <= limit }.map(\.continuation)
        state.waiting.removeAll { $0.upTo <= limit }
        return ready
    }

    private func failed(_ error: AuditError, unwritten count: Int) {
        let (isNew, mustRetry, ready) = state.withLock { state in
            let (isNew, mustRetry) = (state.failure == nil, !state.isRetrying)
            state.failure = error
            (state.isRetrying, state.isScheduled) = (true, true)
            if settings.whenFull == .refuse {
                closed.store(true, ordering: .relaxed)
            } else {
                state.queue.removeFirst(count)
                state.settled += UInt64(count)
                state.dropped += UInt64(count)
                state.droppedSinceReport += UInt64(count)
            }
            return (isNew, mustRetry, Self.takeReady(&state))
        }
        for continuation in ready { continuation.resume() }
        if isNew {
            logger.critical(
                "The audit trail cannot be written",
                metadata: ["reason": "\(error)", "consequence": settings.whenFull == .refuse ? "what must be audited is refused" : "events are dropped"])
        }
        guard mustRetry else { return }
        queue.asyncAfter(deadline: .now() + Self.retryPause) { [weak self] in
            self?.state.withLock { $0.isRetrying = false }
            self?.drain()
        }
    }

    /// All is written; where it was not possible before, it is again.
    ///
    /// - probing: nothing was written just now, so whether there is room must be tried.
    private func recovered(probing: Bool) {
        let (isFailing, isEnded, dropped) = state.withLock { ($0.failure != nil, $0.isEnded, $0.droppedSinceReport) }
        guard !isEnded, isFailing || closed.load(ordering: .relaxed) else { return }
        if probing {
            do throws(AuditError) {
                try file.withLock { (file) throws(AuditError) in
                    if settings.whenFull == .refuse { try file.reserve() }
                }
            } catch {
                return failed(error, unwritten: 0)
            }
            // Its line tells whether there is room.
            if isFailing, dropped > 0 {
                _ = write([])
                return
            }
        }
        let isOver = state.withLock { state in
            guard state.queue.count < settings.queueMax / 2 else { return false }
            state.failure = nil
            closed.store(false, ordering: .relaxed)
            return true
        }
        if isOver, isFailing { logger.notice("The audit trail can be written again", metadata: ["dropped": "\(dropped)"]) }
    }

    private func scheduleSync() {
        guard settings.sync == .second, !hasUnsynced.exchange(true, ordering: .relaxed) else { return }
        queue.asyncAfter(deadline: .now() + Self.syncPause) { [weak self] in
            guard let self else { return }
            hasUnsynced.store(false, ordering: .relaxed)
            guard !state.withLock({ $0.isEnded }) else { return }
            do throws(AuditError) { try file.withLock { (file) throws(AuditError) in try file.sync() } } catch { failed(error, unwritten: 0) }
        }
    }
}
