package import ChangeCore
package import LogicalReplication
internal import Foundation
internal import NIOCore
package import PGChannel
internal import PGWire
package import ShardModel
internal import Synchronization

/// Follows one source: reads its slot, and has every change done on the targets that are to have it.
package final class ChangeStream: Sendable {
    package struct Progress: Hashable, Sendable {
        package var positions: AppliedPositions
        /// The end of the source's log, as it said last.
        package var sourceEnd = LSN.none
        package var transactions = 0
        package var changes = 0

        /// Bytes of the source's log that some target lacks.
        package var lagBytes: UInt64 { sourceEnd.value - min(sourceEnd.value, positions.flushed.value) }
    }

    /// How often the source is told how far the targets are, at least: it ends connections that it hears nothing from (wal_sender_timeout, 60 s). And asked
    /// to answer, so that one which says nothing for long is known to be gone.
    private static let statusInterval = Duration.seconds(5)

    private let request: StreamRequest
    private let targets: [ShardID: ChangeApplier]
    private let router: ChangeRouter
    private let state: Mutex<Progress>
    private let gate = Mutex(Gate())
    /// What the source was told last.
    private let told = Mutex(Report())

    private struct Report: Hashable {
        var written = LSN.none
        var flushed = LSN.none
    }

    /// Before which transactions the stream stops.
    private struct Gate {
        var limit: LSN?
        /// It stands before a transaction at or behind the limit.
        var isShut = false
    }
    private static let gateInterval = Duration.milliseconds(2)

    /// - router: as the targets are now. The appliers are prepared, and have nothing open.
    package init(_ slot: SlotName, publications: [String], router: ChangeRouter, stored: [ShardID: LSN], targets: [ShardID: ChangeApplier]) {
        request = StreamRequest(slot: slot, start: router.start, version: .one, publications: publications)
        self.router = router
        self.targets = targets
        state = Mutex(Progress(positions: AppliedPositions(stored: stored)))
    }

    package var progress: Progress { state.withLock(\.self) }

    /// Nothing of a transaction whose commit is at `limit` or behind it is done until `release`; the source's log waits. `LSN.none`: nothing that is not
    /// under way already.
    package func hold(at limit: LSN) {
        gate.withLock { gate in
            gate.limit = limit
            gate.isShut = false
        }
    }

    package func release() {
        gate.withLock { $0 = Gate() }
    }

    /// Whether every target has all that committed on the source before the limit of `hold`, and nothing else.
    package var isAtLimit: Bool {
        guard let (limit, isShut) = gate.withLock({ gate in gate.limit.map { ($0, gate.isShut) } }) else { return false }
        return isShut || progress.positions.hasReached(limit)
    }

    /// Runs until its task is cancelled, or something fails: then the appliers' sessions are of no use any more.
    ///
    /// - session: of `ReplicationSession.open`, and nobody else's.
    ///
    /// Throws `PGClientError` of the source or a target, `ReplicationError`, `ChangeError`, `TransferError`.
    package func run(_ session: PGClient) async throws {
        try await session.copyBoth(ReplicationCommand.start(request).text, silenceMax: TransferSession.silenceMax) { stream in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.follow(stream) }
                group.addTask {
                    while true {
                        try await Task.sleep(for: Self.statusInterval)
                        try await self.tell(stream, isReplyRequested: true)
                    }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    private func follow(_ stream: PGClient.Duplex) async throws {
        var reading = Reading(router: router)
        while let runs = try await stream.next() {
            for run in runs {
                var run = run
                while let content = run.readCopyDataContent() { try await receive(content, &reading, stream) }
            }
            // All that was there is done: the targets commit, so that none waits for what may come late.
            if try await commit(&reading) { try await tell(stream) }
            reading.isOverdue = !reading.due.isEmpty
        }
        throw TransferError.shape("the source has ended the stream of changes")
    }

    private struct Reading {
        var decoder = PGOutputDecoder(version: .one)
        var router: ChangeRouter
        /// What targets have done and not committed.
        var due: [ShardID: LSN] = [:]
        /// What was there ended inside of a transaction: the targets commit at its end, or under load they might never.
        var isOverdue = false
    }

    private func receive(_ content: ByteBuffer, _ reading: inout Reading, _ stream: PGClient.Duplex) async throws {
        switch try ReplicationMessage(content) {
        case .data(let data):
            state.withLock { $0.sourceEnd = max($0.sourceEnd, data.end) }
            let message = try reading.decoder.decode(data.payload)
            if case .begin(let begin) = message { try await pass(begin.finalLSN, &reading, stream) }
            for action in try reading.router.receive(message) {
                switch action {
                case .apply(let target, let change):
                    try await targets[target]?.apply(change)
                    state.withLock { $0.changes += 1 }
                case .commit(let position, let touched):
                    for target in touched { reading.due[target] = position }
                    state.withLock {
                        $0.positions.asked(touched, position: position)
                        $0.transactions += 1
                    }
                    if reading.isOverdue { reading.isOverdue = try await !commit(&reading) }
                }
            }
        case .keepalive(let keepalive):
            let isBetween = !reading.router.isInTransaction
            state.withLock {
                $0.sourceEnd = max($0.sourceEnd, keepalive.end)
                if isBetween { $0.positions.keptAlive(end: keepalive.end) }
            }
            // An answer that says nothing new would be answered by another keepalive, and so on, while there is anything to commit.
            if keepalive.isReplyRequested || (isBetween && isNews(report)) { try await tell(stream) }
        }
    }

    private func pass(_ commit: LSN, _ reading: inout Reading, _ stream: PGClient.Duplex) async throws {
        func isOpen() -> Bool { gate.withLock { $0.limit.map { commit < $0 } ?? true } }
        if isOpen() { return }
        if try await self.commit(&reading) { try await tell(stream) }
        while !isOpen() {
            gate.withLock { gate in gate.isShut = gate.limit.map { commit >= $0 } ?? false }
            try await Task.sleep(for: Self.gateInterval)
        }
    }

    /// Whether there was something to commit. A transaction of the source that is still coming in keeps its part open.
    private func commit(_ reading: inout Reading) async throws -> Bool {
        guard !reading.due.isEmpty, !reading.router.isInTransaction else { return false }
        let due = reading.due
        reading.due = [:]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (target, position) in due {
                group.addTask {
                    try await self.targets[target]?.commit(position)
                    self.state.withLock { $0.positions.stored(target, position: position) }
                }
            }
            try await group.waitForAll()
        }
        return true
    }

    private func tell(_ stream: PGClient.Duplex, isReplyRequested: Bool = false) async throws {
        let report = report
        told.withLock { $0 = report }
        var update = ByteBuffer()
        let now = ServerTime(unixSeconds: Date().timeIntervalSince1970)
        update.writeStandbyStatusUpdate(
            StandbyStatusUpdate(written: report.written, flushed: report.flushed, applied: report.flushed, sentAt: now, isReplyRequested: isReplyRequested))
        try await stream.send(update)
    }

    /// What has come is told as well as what is on disk: a source that lacks both sends keepalives as fast as they are answered.
    private var report: Report {
        let progress = progress
        let flushed = progress.positions.flushed
        return Report(written: max(progress.sourceEnd, flushed), flushed: flushed)
    }

    private func isNews(_ report: Report) -> Bool { told.withLock { $0 != report } }
}
