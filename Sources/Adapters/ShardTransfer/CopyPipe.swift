internal import NIOCore
internal import Synchronization

/// Bytes on their way from one task to another: who sends waits while `capacity` pieces are there. One sender, one receiver.
final class CopyPipe: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    struct Closed: Error {}

    private struct State {
        var pieces: [ByteBuffer] = []
        var end: Result<Void, any Error>?
        var sender: CheckedContinuation<Void, any Error>?
        var receiver: CheckedContinuation<ByteBuffer?, any Error>?
    }
    private let state = Mutex(State())
    private let capacity: Int

    init(capacity: Int = 4) { self.capacity = capacity }

    /// Throws when the receiver has left, or the task is cancelled.
    func send(_ piece: ByteBuffer) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let resume = state.withLock { state -> (() -> Void)? in
                    if let end = state.end {
                        let error: any Error = if case .failure(let error) = end { error } else { Closed() }
                        return { continuation.resume(throwing: error) }
                    }
                    if let receiver = state.receiver {
                        state.receiver = nil
                        return {
                            receiver.resume(returning: piece)
                            continuation.resume()
                        }
                    }
                    state.pieces.append(piece)
                    guard state.pieces.count >= capacity else { return { continuation.resume() } }
                    state.sender = continuation
                    return nil
                }
                resume?()
            }
        } onCancel: {
            end(.failure(CancellationError()))
        }
    }

    /// Behind what was sent comes the end, or the error. Only the first end counts.
    func end(_ end: Result<Void, any Error> = .success(())) {
        let resume = state.withLock { state -> (() -> Void)? in
            guard state.end == nil else { return nil }
            state.end = end
            let (sender, receiver) = (state.sender, state.receiver)
            (state.sender, state.receiver) = (nil, nil)
            if case .failure = end { state.pieces = [] }
            return {
                switch end {
                case .success:
                    sender?.resume()
                    receiver?.resume(returning: nil)
                case .failure(let error):
                    sender?.resume(throwing: error)
                    receiver?.resume(throwing: error)
                }
            }
        }
        resume?()
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        let pipe: CopyPipe
        mutating func next() async throws -> ByteBuffer? { try await pipe.receive() }
    }
    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pipe: self) }

    private func receive() async throws -> ByteBuffer? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<ByteBuffer?, any Error>) in
                let resume = state.withLock { state -> (() -> Void)? in
                    if !state.pieces.isEmpty {
                        let piece = state.pieces.removeFirst()
                        let sender = state.sender
                        state.sender = nil
                        return {
                            sender?.resume()
                            continuation.resume(returning: piece)
                        }
                    }
                    switch state.end {
                    case .success: return { continuation.resume(returning: nil) }
                    case .failure(let error): return { continuation.resume(throwing: error) }
                    case nil:
                        state.receiver = continuation
                        return nil
                    }
                }
                resume?()
            }
        } onCancel: {
            end(.failure(CancellationError()))
        }
    }
}
