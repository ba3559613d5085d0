#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The lines of a file, one after the other, in bounded memory. Closes the file when it goes.
final class LineReader {
    struct Line {
        var bytes: [UInt8]
        /// From 1.
        var number: Int
        /// The file ends without an end of line.
        var isCutOff: Bool
    }
    /// Of a line that is none of ours, so much is looked at.
    private static let bytesMax = 1 << 20

    private let descriptor: CInt
    private var buffer: [UInt8] = []
    private var position = 0
    private var number = 0
    private(set) var bytesRead = 0

    /// nil: it cannot be opened.
    init?(_ path: String) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
    }

    /// Goes on behind the end of the line that `offset` is in; numbers of lines mean nothing afterwards.
    func skip(to offset: Int) {
        guard offset > 0, lseek(descriptor, off_t(offset - 1), Int32(SEEK_SET)) >= 0 else { return }
        (buffer, position) = ([], 0)
        _ = next()
    }

    deinit {
        #if canImport(Glibc)
        _ = Glibc.close(descriptor)
        #elseif canImport(Musl)
        _ = Musl.close(descriptor)
        #else
        _ = Darwin.close(descriptor)
        #endif
    }

    /// nil: there are no more.
    func next() -> Line? {
        var line: [UInt8] = []
        while true {
            if let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) {
                append(&line, upTo: end)
                position = end + 1
                number += 1
                return Line(bytes: line, number: number, isCutOff: false)
            }
            append(&line, upTo: buffer.count)
            guard fill() else {
                guard !line.isEmpty else { return nil }
                number += 1
                return Line(bytes: line, number: number, isCutOff: true)
            }
        }
    }

    private func append(_ line: inout [UInt8], upTo end: Int) {
        line += buffer[position..<min(end, position + max(0, Self.bytesMax - line.count))]
    }

    private func fill() -> Bool {
        buffer = [UInt8](repeating: 0, count: 64 << 10)
        position = 0
        var count = -1
        repeat { count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) } } while count < 0 && errno == EINTR
        buffer.removeLast(buffer.count - max(0, count))
        bytesRead += max(0, count)
        return count > 0
    }
}
