package import NIOCore
internal import PGWire

extension PGClient {
    /// Bytes gathered into one CopyData: a wake-up of the loop costs more than a few kilobytes of copying.
    private static let copyChunkTarget = 64 << 10
    /// A longer chunk is sent in several messages, within the message limits of routers and poolers.
    private static let copyChunkMax = 1 << 20

    /// COPY … FROM STDIN with the chunks of `source`, whose borders mean nothing. Returns the number of rows.
    ///
    /// Back-pressure: the next chunk is asked for when the socket has taken the last one. When `source` throws, the COPY is given up, and undone.
    ///
    /// - silenceMax: how long the server may take no data, and behind the last not answer. What `source` takes does not count.
    @discardableResult
    package func copyIn<Source: AsyncSequence & Sendable>(
        _ sql: String, from source: Source, timeout: TimeAmount? = nil, silenceMax: TimeAmount? = nil
    ) async throws -> Int
    where Source.Element == ByteBuffer {
        try Self.requireText(sql)
        var request = ByteBuffer()
        request.writeQuery(sql)
        let id = makeCallID()
        let ready = eventLoop.makePromise(of: Void.self)
        limit(ready.futureResult, of: id, to: silenceMax)
        let results = try await withThrowingTaskGroup(of: [PGResult].self) { group in
            let query = request
            group.addTask { try await self.perform({ _ in .copyIn(ready: ready) }, query, id: id, timeout: timeout) }
            var sourceFailure: (any Error)?
            do {
                try await ready.futureResult.get()
                sourceFailure = try await self.send(source, id, silenceMax)
            } catch {
                // The COPY itself ended early: the call knows why.
            }
            let watch = silenceMax.map { self.giveUp(id, in: $0) }
            defer { watch?.cancel() }
            do {
                let results = try await group.next() ?? []
                guard let sourceFailure else { return results }
                throw PGClientError(.copySource(sourceFailure), execution: .didNotRun)
            } catch let error as PGClientError {
                // The server reports the CopyFail that the source's failure caused.
                guard let sourceFailure, error.serverError?.sqlState == .queryCanceled else { throw error }
                throw PGClientError(.copySource(sourceFailure), execution: .didNotRun)
            }
        }
        return results.last?.rowsAffected ?? 0
    }

    /// Sends all of `source`, and the end. Returns the source's own failure, which was told to the server.
    private func send<Source: AsyncSequence & Sendable>(_ source: Source, _ id: UInt64, _ silenceMax: TimeAmount?) async throws -> (any Error)?
    where Source.Element == ByteBuffer {
        var gathered = ByteBuffer()
        var iterator = source.makeAsyncIterator()
        while true {
            let next: ByteBuffer?
            do {
                next = try await iterator.next()
            } catch {
                var fail = ByteBuffer()
                fail.writeCopyFail(reason: "the source of the data failed")
                try await sendCopy(fail, id, silenceMax: silenceMax)
                return error
            }
            guard var chunk = next else { break }
            while let piece = chunk.readSlice(length: min(chunk.readableBytes, Self.copyChunkMax)), piece.readableBytes > 0 {
                gathered.writeCopyData(piece)
                if gathered.readableBytes >= Self.copyChunkTarget {
                    try await sendCopy(gathered, id, silenceMax: silenceMax)
                    gathered = ByteBuffer()
                }
            }
        }
        gathered.writeCopyDone()
        try await sendCopy(gathered, id, silenceMax: silenceMax)
        return nil
    }

    func sendCopy(_ bytes: ByteBuffer, _ id: UInt64, silenceMax: TimeAmount?) async throws {
        let promise = eventLoop.makePromise(of: Void.self)
        limit(promise.futureResult, of: id, to: silenceMax)
        eventLoop.execute { [handler] in handler.value.sendCopy(id, bytes, promise: promise) }
        try await promise.futureResult.get()
    }

    /// COPY … TO STDOUT. `consume` gets the content of each CopyData message in order; the server waits for it. Returns the number of rows.
    ///
    /// When `consume` throws, the COPY is cancelled and the error passed on.
    @discardableResult
    package func copyOut(_ sql: String, timeout: TimeAmount? = nil, _ consume: @Sendable (ByteBuffer) async throws -> Void) async throws -> Int {
        try await copyOutRuns(sql, timeout: timeout) { run in
            var run = run
            while let content = run.readCopyDataContent() { try await consume(content) }
        }
    }

    /// As `copyOut`; `consume` gets whole CopyData messages, many at a time (`ByteBuffer.readCopyDataContent` takes them apart).
    ///
    /// - silenceMax: how long the server may send nothing. What `consume` takes does not count.
    @discardableResult
    package func copyOutRuns(
        _ sql: String, timeout: TimeAmount? = nil, silenceMax: TimeAmount? = nil, _ consume: @Sendable (ByteBuffer) async throws -> Void
    ) async throws -> Int {
        try Self.requireText(sql)
        var request = ByteBuffer()
        request.writeQuery(sql)
        let id = makeCallID()
        let sink = NIOLoopBoundBox.makeBoxSendingValue(PGCopyOutSink(), eventLoop: eventLoop)
        let query = request
        let answer = Task { try await self.perform({ _ in .copyOut(sink.value) }, query, id: id, timeout: timeout) }
        return try await withTaskCancellationHandler {
            do {
                while let runs = try await nextRuns(sink, id, silenceMax: silenceMax) {
                    for run in runs { try await consume(run) }
                }
            } catch {
                answer.cancel()
                if error is PGClientError { _ = try await answer.value }
                throw error
            }
            return try await answer.value.last?.rowsAffected ?? 0
        } onCancel: {
            answer.cancel()
        }
    }

    func nextRuns(_ sink: NIOLoopBoundBox<PGCopyOutSink>, _ id: UInt64, silenceMax: TimeAmount?) async throws -> [ByteBuffer]? {
        let promise = eventLoop.makePromise(of: [ByteBuffer]?.self)
        limit(promise.futureResult, of: id, to: silenceMax)
        eventLoop.execute { [handler] in handler.value.nextCopyRuns(sink.value, promise) }
        return try await promise.futureResult.get()
    }
}
